"""Where a session stops, and on which hit. Pure but for the expressions, which the session evaluates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sync.debugger.backend.program import SprocLine
from sync.debugger.backend.session import EvaluationError
from sync.debugger.backend.values import lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sync.debugger.backend.program import Program
    from sync.debugger.backend.values import Value

_HIT = re.compile(r"\s*(>=|<=|>|<|==|=|%)?\s*(\d{1,9})\s*")
_HOLE = re.compile(r"\{([^{}]+)\}")


class Breakpoint(NamedTuple):
    """A line to stop at. `condition`: only if this is true; `hit`: `5`, `>=5` or `%5`; `log`: is said instead of stopping."""

    line: int
    condition: str = ""
    hit: str = ""
    log: str = ""


class Breakpoints:
    """Those of all files. They may be set at any time, from another thread too. `counting`: called when a session takes them."""

    def __init__(self, counting: Callable[[], None] = lambda: None) -> None:
        self._counting = counting
        self.revision = 0
        self._wanted: dict[str, Sequence[Breakpoint]] = {}
        self._hits: dict[SprocLine, int] = {}
        self.on_error = True

    def replace(self, name: str, wanted: Sequence[Breakpoint], program: Program | None) -> list[int | None]:
        """Sets a file's. The line where each will stop; None if it can't."""
        known = program is not None and name in program.sprocs
        stops = [program.code(name).at_or_after(one.line) if known and program else None for one in wanted]
        kept = [one._replace(line=line) for one, line in zip(wanted, stops, strict=True) if line is not None]
        self._wanted[name] = kept if known else wanted
        self.revision += 1
        return stops

    def places(self) -> list[SprocLine]:
        """Where to stop from now on."""
        found = [SprocLine(name, one.line) for name, ones in [*self._wanted.items()] for one in ones]
        self._counting()
        return found

    def wanted_at(self, place: SprocLine, evaluate: Callable[[str], Value], say: Callable[[str], None]) -> bool:
        """Whether to stop now, at a place that was reached. Says what log points and broken conditions have to say."""
        stops = False
        for one in self._wanted.get(place.name, ()):
            if one.line != place.line or not _holds(one, evaluate, say):
                continue
            self._hits[place] = hits = self._hits.get(place, 0) + 1
            if not _counts(one.hit, hits):
                continue
            if one.log:
                say(_HOLE.sub(lambda found: _filled(found[1], evaluate), one.log))
            else:
                stops = True
        return stops


def _holds(one: Breakpoint, evaluate: Callable[[str], Value], say: Callable[[str], None]) -> bool:
    if not one.condition:
        return True
    why = "these are several: write `and` or `or` between them"
    if not lists(one.condition):
        try:
            return evaluate(one.condition).true
        except EvaluationError as error:
            why = str(error)
    say(f"the condition {one.condition!r} can't be evaluated, so it stops: {why}")
    return True


def hit_problem(hit: str) -> str:
    """What is wrong with a hit count; "" for nothing."""
    found = _HIT.fullmatch(hit)
    sound = found and (found[1] != "%" or int(found[2]))
    return "" if sound or not hit else f"{hit!r} is no hit count: write 5, >=5 or %5"


def _counts(hit: str, hits: int) -> bool:
    found = _HIT.fullmatch(hit) if hit else None
    if not found:
        return True
    number = int(found[2])
    return {
        ">=": hits >= number,
        "<=": hits <= number,
        ">": hits > number,
        "<": hits < number,
        "%": hits % (number or 1) == 0,
    }.get(found[1] or "==", hits == number)


def _filled(expression: str, evaluate: Callable[[str], Value]) -> str:
    try:
        return evaluate(expression).text
    except EvaluationError as error:
        return f"<{error}>"
