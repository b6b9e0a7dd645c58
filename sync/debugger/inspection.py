"""What a client asks of a session that stands: frames, variables, expressions."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from sync.debugger.backend.session import EvaluationError
from sync.debugger.backend.values import place_in, readable
from sync.debugger.fields import RefusedError, number, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sync.debugger.backend.session import DebugSession
    from sync.debugger.backend.values import Value
    from sync.debugger.launch import Launched

    Arguments = Mapping[str, Any]

_COMMAND = re.compile(r">\s*(.+)|(([A-Z]+)[A-Z.]*(?: .*)?)", re.DOTALL)


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
        first = number(arguments, "startFrame", 0)
        count = number(arguments, "levels", 0) or len(frames)
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
        frame = self._frame(arguments)
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

    def _frame(self, arguments: Arguments, default: int | None = None) -> int:
        frame = number(arguments, "frameId", default)
        if frame != default and not 1 <= frame <= len(self._session.frames()):
            raise RefusedError(f"there is no frame {frame}")
        return frame - 1

    def _referred(self, shown: Shown) -> int:
        self._references[len(self._references) + 1] = shown
        return len(self._references)

    def _reference(self, arguments: Arguments) -> Shown:
        if found := self._references.get(number(arguments, "variablesReference")):
            return found
        raise RefusedError("these variables are of an earlier stop")

    def variables(self, arguments: Arguments) -> Any:
        shown = self._reference(arguments)
        first = number(arguments, "start", 0)
        count = number(arguments, "count", 0) or len(shown.values)
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
        name = text(arguments, "name")
        if name not in shown.values:
            raise RefusedError(f"there is no variable {name}")
        code = shown.code_of(name)
        if not code:
            raise EvaluationError(f"{name} can't be set")
        self._session.evaluate(f"{code} = ({text(arguments, 'value')})", shown.frame, sets=True)
        return self._shown(self._session.evaluate(code, shown.frame), shown.frame, code)

    def evaluate(self, arguments: Arguments) -> Any:
        session = self._session
        code, frame = text(arguments, "expression").strip(), self._frame(arguments, 1)
        console = arguments.get("context") == "repl"
        found = _COMMAND.fullmatch(code) if console else None
        if found and not self._is_variable(found[3], code, frame):
            try:
                words = shlex.split(found[1] or found[2])
                return {"result": readable(session.command(words)), "variablesReference": 0}
            except ValueError as error:
                raise EvaluationError(str(error)) from error
        shown = self._shown(session.evaluate(code, frame, sets=console), frame, f"({code})")
        return {"result": shown["value"], "variablesReference": shown["variablesReference"]}

    def _is_variable(self, word: str | None, code: str, frame: int) -> bool:
        """Whether what looks like a command begins with a variable; `KEYS *` is the command."""
        if not word or code == "KEYS" or word == "ARGV":
            return bool(word)
        return word in self._session.variables(frame) or word in self._session.upvalues(frame)


def source_of(path: Path) -> dict[str, str]:
    return {"name": path.name, "path": str(path)}
