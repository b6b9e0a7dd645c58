"""What a client asks of a session that stands: frames, variables, expressions."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.errors import LuasprocsError
from sync.debugger.backend.session import EvaluationError
from sync.debugger.backend.values import place_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sync.debugger.backend.session import DebugSession
    from sync.debugger.backend.values import Value
    from sync.debugger.launch import Launched

    Arguments = Mapping[str, Any]

_COMMAND = re.compile(r">\s*(.+)|(([A-Z]+)[A-Z.]*(?: .*)?)", re.DOTALL)


class RefusedError(LuasprocsError):
    """A request that can't be answered; its text says why."""


class Shown(NamedTuple):
    """Values that a client knows by a number: of a frame's scope, or the fields of a table, which `code` gives."""

    values: Mapping[str, Value]
    frame: int
    code: str = ""

    def code_of(self, name: str) -> str:
        """An expression for one of them; "" if there is none."""
        if not self.code:
            return name
        place = place_in(name)
        return place and self.code + place


class Inspection:
    """Numbers that the protocol has for variables hold until `forget`."""

    def __init__(self, session: DebugSession, launched: Launched) -> None:
        self._session, self._launched = session, launched
        self._references: dict[int, Shown] = {}

    def forget(self) -> None:
        self._references = {}

    def stack_trace(self, arguments: Arguments) -> Any:
        session, launched = self._session, self._launched
        frames = session.frames()
        first = int(arguments.get("startFrame") or 0)
        count = int(arguments.get("levels") or len(frames))
        shown = [
            {
                "id": first + number + 1,
                "name": frame.name,
                "line": frame.place.line,
                "column": 1,
                "source": source_of(launched.path_of(frame.place.name)),
            }
            for number, frame in enumerate(frames[first : first + count])
        ]
        return {"stackFrames": shown, "totalFrames": len(frames)}

    def scopes(self, arguments: Arguments) -> Any:
        session = self._session
        frame = int(arguments["frameId"]) - 1
        parts = (
            ("Locals", session.variables(frame)),
            ("Upvalues", session.upvalues(frame)),
            ("Arguments", session.arguments(frame)),
        )
        return {
            "scopes": [
                {"name": name, "variablesReference": self._referred(Shown(found, frame)), "expensive": False}
                for name, found in parts
                if found or name == "Locals"
            ]
        }

    def _referred(self, shown: Shown) -> int:
        self._references[len(self._references) + 1] = shown
        return len(self._references)

    def _reference(self, arguments: Arguments) -> Shown:
        if found := self._references.get(int(arguments["variablesReference"])):
            return found
        raise RefusedError("these variables are of an earlier stop")

    def variables(self, arguments: Arguments) -> Any:
        shown = self._reference(arguments)
        first = int(arguments.get("start") or 0)
        count = int(arguments.get("count") or len(shown.values))
        return {"variables": [self._variable(shown, name) for name in [*shown.values][first : first + count]]}

    def _variable(self, shown: Shown, name: str) -> dict[str, Any]:
        code = shown.code_of(name)
        return {
            "name": name,
            **self._shown(shown.values[name], shown.frame, code),
            **({"evaluateName": code} if code else {}),
        }

    def _shown(self, value: Value, frame: int, code: str) -> dict[str, Any]:
        reference = self._referred(Shown(value.fields, frame, code)) if value.fields else 0
        return {"value": value.text, "variablesReference": reference}

    def set_variable(self, arguments: Arguments) -> Any:
        """Sets a local, or a table's field, to what an expression gives."""
        shown = self._reference(arguments)
        code = shown.code_of(str(arguments["name"]))
        if not code:
            raise EvaluationError(f"{arguments['name']} can't be set")
        self._session.evaluate(f"{code} = {arguments['value']}", shown.frame)
        return self._shown(self._session.evaluate(code, shown.frame), shown.frame, code)

    def evaluate(self, arguments: Arguments) -> Any:
        session = self._session
        text, frame = str(arguments["expression"]).strip(), int(arguments.get("frameId") or 1) - 1
        found = _COMMAND.fullmatch(text) if arguments.get("context") == "repl" else None
        if found and not self._is_variable(found[3], text, frame):
            try:
                return {"result": session.command(shlex.split(found[1] or found[2])), "variablesReference": 0}
            except ValueError as error:
                raise EvaluationError(str(error)) from error
        shown = self._shown(session.evaluate(text, frame), frame, f"({text})")
        return {"result": shown["value"], "variablesReference": shown["variablesReference"]}

    def _is_variable(self, word: str | None, text: str, frame: int) -> bool:
        """Whether what looks like a command begins with a variable; `KEYS *` is the command."""
        if not word or text == "KEYS" or word == "ARGV":
            return bool(word)
        return word in self._session.variables(frame) or word in self._session.upvalues(frame)


def source_of(path: Path) -> dict[str, str]:
    return {"name": path.name, "path": str(path)}
