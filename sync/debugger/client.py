"""What a client of the debug adapter is told: answers, events, and output, which is limited between two stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sync.debugger.backend.values import readable
from sync.debugger.inspection import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sync.debugger.backend.program import SprocLine
    from sync.debugger.transport import Transport

OUTPUT_LINES = 1000
"""Lines of output between two stops; what comes beyond is left out, and said so."""


_PLACES = {"line": 0, "endLine": 0, "column": 1, "endColumn": 1}
"""What the protocol calls a line or a column, wherever it stands."""


class Client:
    """One client, which may count lines and columns from 0.

    `path_of`: where the file of a sproc is, by its name; None before anything is launched.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._said = 0
        self._first = (1, 1)
        self.path_of: Callable[[str], Path] | None = None

    def introduces(self, arguments: Mapping[str, Any]) -> None:
        """Takes from `initialize` how it counts."""
        lines, columns = (arguments.get(f"{one}StartAt1") is not False for one in ("lines", "columns"))
        self._first = int(lines), int(columns)

    def read(self) -> dict[str, Any] | None:
        """Its next message, counted from 1; None when it is gone."""
        message = self._transport.read()
        try:
            return message and self._counted(message, 1)
        except RecursionError:  # it is nested as no request is
            return message

    def _counted(self, value: Any, sign: int) -> Any:
        """A message with lines and columns counted from 1 (`sign` 1), or as the client does (-1)."""
        if self._first == (1, 1):
            return value
        if isinstance(value, list):
            return [self._counted(one, sign) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            name: one + sign * (1 - self._first[_PLACES[name]])
            if name in _PLACES and type(one) is int
            else self._counted(one, sign)
            for name, one in value.items()
        }

    def respond(self, message: dict[str, Any], body: Any) -> None:
        """Answers a request."""
        self._transport.send({**_head(message), "success": True, "body": self._counted(body, -1)})

    def refuse(self, message: dict[str, Any], why: str) -> None:
        """Answers a request that can't be done."""
        why = readable(why)
        error = {"id": 1, "format": "{why}", "variables": {"why": why}, "showUser": True}
        self._transport.send({**_head(message), "success": False, "message": why, "body": {"error": error}})

    def event(self, name: str, **body: Any) -> None:
        self._transport.send({"type": "event", "event": name, "body": self._counted(body, -1)})

    def listens(self) -> None:
        """A stop: there is room for output again."""
        self._said = 0

    def say(self, category: str, text: str, place: SprocLine | None = None) -> None:
        """A line of output, and where it comes from."""
        self._said += 1
        if self._said > OUTPUT_LINES:
            return
        if self._said == OUTPUT_LINES:
            category, text, place = "stderr", "… more output is left out, until the sproc stops", None
        body: dict[str, Any] = {"category": category, "output": readable(text) + "\n"}
        if place and self.path_of:
            body |= {"source": source_of(self.path_of(place.name)), "line": place.line}
        self.event("output", **body)


def _head(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response", "request_seq": message.get("seq", 0), "command": message["command"]}
