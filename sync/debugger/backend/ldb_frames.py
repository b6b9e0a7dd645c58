"""What stands where the server's debugger has stopped. It shows the innermost locals, and finds others by name alone."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from sync.debugger.backend.ldb import CUT, HEAD_CHARS, VALUE_CHARS, LdbError
from sync.debugger.backend.session import EvaluationError, Frame
from sync.debugger.backend.values import Value, is_name, literal, names_in, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sync.debugger.backend.ldb import Ldb
    from sync.debugger.backend.program import Program

READINGS = 16
"""Of values that may be strings or numbers, tried at most."""
_OWN = frozenset({"sproc", "require", "redis", "KEYS", "ARGV", "luasprocs_named", "luasprocs_problem", "n"})
"""What the engine hands over, which is shown elsewhere or says nothing; `n` only where the source has none."""


class LdbFrames:
    """The frames of one stop, read when they are asked for; `forget` when the script goes on."""

    def __init__(self, ldb: Ldb, program: Program) -> None:
        self._ldb, self._program = ldb, program
        self._trace: list[Frame] | None = None

    def forget(self) -> None:
        self._trace = None

    def all(self) -> Sequence[Frame]:
        """The functions of sprocs that run, the innermost first."""
        if self._trace is None:
            found = []
            for name, line in self._ldb.trace():
                if place := self._program.place(line):
                    main = self._program.code(place.name).function_at(place.line) == 0
                    found.append(Frame(place.name if main else name, place))
            self._trace = found
        return self._trace

    def variables(self, frame: int, *, raised: bool) -> Mapping[str, Value]:
        """A frame's locals. `raised`: an error's handler stands above the frames."""
        frames = self.all()
        if frame >= len(frames):
            return {}
        place = frames[frame].place
        names = self._program.code(place.name).locals_at(place.line)
        if frame == 0 and not raised:
            hidden = _OWN - set(names)
            return {name: self._parse(text) for name, text in self._ldb.locals().items() if name not in hidden}
        inner = self._names_within(frames[:frame])
        found = ((name, self._ldb.value(name)) for name in names if name not in inner)
        known = {name: self._parse(text) for name, text in found if text is not None}
        return known | {name: Value("(hidden by a local of an inner function)") for name in names if name in inner}

    def _names_within(self, frames: Sequence[Frame]) -> set[str]:
        """The locals of inner frames, which hide those of outer ones from LDB."""
        return {name for one in frames for name in self._program.code(one.place.name).locals_at(one.place.line)}

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        frames = self.all()
        found: dict[str, Value] = {}
        for name in self._upvalue_names(frame):
            text = self._ldb.value(name) if self._owner(name, frame, frames) else None
            if text is not None:
                found[name] = self._parse(text)
        return found

    def _upvalue_names(self, frame: int) -> list[str]:
        frames = self.all()
        if frame >= len(frames):
            return []
        place = frames[frame].place
        return self._program.code(place.name).upvalues_at(place.line)

    def _owner(self, name: str, frame: int, frames: Sequence[Frame]) -> bool:
        """Whether the function that an upvalue is a local of still runs, and no frame before it has that name."""
        function = self._program.function_at(frames[frame].place)
        for at, one in enumerate(frames):
            here = self._program.function_at(one.place)
            named = name in self._program.code(one.place.name).locals_at(one.place.line)
            if at > frame and here[0] == function[0] and self._is_around(here[0], here[1], function[1]):
                if named:
                    return True
            elif named:
                return False
        return False

    def _is_around(self, name: str, outer: int, inner: int) -> bool:
        while (inner := self._program.code(name).parent_of(inner)) >= 0:
            if inner == outer:
                return True
        return False

    def arguments(self, frame: int) -> Mapping[str, Value]:
        return {name: self._parse(self._ldb.value(name) or "nil") for name in ("KEYS", "ARGV")} if frame == 0 else {}

    def evaluate(self, expression: str, frame: int, *, raised: bool) -> Value:
        expression = expression.strip()
        values = {**self.upvalues(frame), **self.variables(frame, raised=raised), **self.arguments(frame)}
        if is_name(expression) and expression in values:
            return values[expression]
        made: list[list[str]] = []
        for name in names_in(expression):
            if name in values:
                made.append(self._made(name, values[name]))
            elif name in self._upvalue_names(frame):
                raise EvaluationError(f"{name} is an upvalue, which the server's debugger can't read here")
        found: Value | EvaluationError | None = None
        for before in itertools.islice(itertools.product(*made), READINGS):
            try:
                value = self._evaluated(f"{' '.join(before)} return {expression}")
            except EvaluationError as error:
                found = found or error
                continue
            if value.true:
                return value
            found = value if not isinstance(found, Value) else found
        if isinstance(found, Value):
            return found
        raise found or EvaluationError("nothing to evaluate")

    def _made(self, name: str, value: Value) -> list[str]:
        """Code that makes a local. Valkey writes strings as numbers are written: then there are two ways to read it."""
        if value.cut:
            raise EvaluationError(
                f"{name} is too large: the server's debugger shows its first {VALUE_CHARS:,} characters"
            )
        ways = [literal(value)]
        if self._ldb.valkey:
            ways.append(literal(value, texts=True))
        if None in ways:
            raise EvaluationError(f"{name} is a function: the server's debugger evaluates copies of plain values")
        if name in {"KEYS", "ARGV"}:
            ways.reverse()
        return [f"local {name} = {one};" for one in dict.fromkeys(ways)]

    def _evaluated(self, code: str) -> Value:
        try:
            sound, text = self._ldb.evaluate(code)
        except LdbError as error:
            raise EvaluationError(str(error)) from error
        if not sound:
            raise EvaluationError(re.sub(r"^ldb_eval:\d+: ", "", text))
        return self._parse(text)

    def _parse(self, text: str) -> Value:
        if len(text) > VALUE_CHARS - HEAD_CHARS and text.endswith(CUT):
            return Value(text, cut=True)
        return parse(text, bare=self._ldb.valkey)
