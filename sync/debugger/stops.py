"""The breakpoints as a client sets them, and what it is told of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sync.debugger.backend.breakpoints import Breakpoint, Breakpoints, hit_problem
from sync.debugger.fields import RefusedError, field, number, objects, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sync.debugger.client import Client
    from sync.debugger.launch import Launched

    Arguments = Mapping[str, Any]

ERROR_FILTER = "error"
_NO_CODE = "no code is there, or the file is no sproc of this work tree"
_LATER = "the sproc is running: it counts from the next stop, or as soon as the server lets it"


class Stops:
    """`running`: whether the sproc runs now. What is set then is told later, by an event, when it counts.

    Hold `telling` while a request is answered, so that no event comes before the answer.
    """

    def __init__(self, client: Client, running: Callable[[], bool]) -> None:
        self._client, self._running = client, running
        self._last = 0
        self.telling = threading.RLock()
        self.breakpoints = Breakpoints(self.counting)
        self._later: list[dict[str, Any]] = []

    def set(self, arguments: Arguments, launched: Launched | None) -> Any:
        """Answers `setBreakpoints`, also one that has only `lines`."""
        path = text(arguments, "source.path")
        given = objects(arguments, "breakpoints")
        if field(arguments, "breakpoints") is None:
            lines = field(arguments, "lines") or []
            if not isinstance(lines, list):
                raise RefusedError("lines is no list of numbers")
            given = [{"line": line} for line in lines]
        wanted = [_breakpoint(one) for one in given]
        if launched is None:
            raise RefusedError("set breakpoints after the event initialized")
        name = launched.name_of(path)
        running = self._running()
        self._later = [one for one in self._later if one["source"]["path"] != path]
        found = iter(self.breakpoints.replace(name, [one for one, why in wanted if not why], launched.program))
        said = []
        for one, problem in wanted:
            line = None if problem else next(found)
            why = problem or (_NO_CODE if line is None else _LATER if running else "")
            self._last += 1
            told = {"id": self._last, "verified": not why, "line": line or one.line}
            reason = "pending" if why == _LATER else "failed"
            said.append({**told, **({"message": why, "reason": reason} if why else {})})
            if why == _LATER:
                self._later.append({**told, "verified": True, "source": {"path": path}})
        return {"breakpoints": said}

    def counting(self) -> None:
        """All that are set count from now on."""
        with self.telling:
            later, self._later = self._later, []
            for one in later:
                self._client.event("breakpoint", reason="changed", breakpoint=one)

    def set_filters(self, arguments: Arguments) -> Any:
        """Answers `setExceptionBreakpoints`."""
        filters = field(arguments, "filters")
        if not isinstance(filters, list):
            raise RefusedError("filters is no list" if filters is not None else "filters is missing")
        for one in filters:
            if one != ERROR_FILTER:
                raise RefusedError(f"there is no filter {one!r}: the only one is {ERROR_FILTER!r}")
        self.breakpoints.on_error = bool(filters)
        return {}

    def possible(self, arguments: Arguments, launched: Launched | None) -> Any:
        """Answers `breakpointLocations`."""
        name, first = text(arguments, "source.path"), number(arguments, "line")
        last = number(arguments, "endLine", first)
        if launched is None:
            raise RefusedError("nothing is being debugged")
        name, program = launched.name_of(name), launched.program
        lines = program.code(name).lines if name in program.sprocs else frozenset()
        return {"breakpoints": [{"line": line} for line in sorted(lines) if first <= line <= last]}


def _breakpoint(given: Mapping[str, Any]) -> tuple[Breakpoint, str]:
    """A breakpoint of the protocol, and what is wrong with it."""
    hit = text(given, "hitCondition", "").strip()
    problem = hit_problem(hit)
    found = Breakpoint(
        number(given, "line"),
        text(given, "condition", ""),
        "" if problem else hit,
        text(given, "logMessage", ""),
    )
    return found, problem
