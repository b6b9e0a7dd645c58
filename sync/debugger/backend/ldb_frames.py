"""What stands where the server's debugger has stopped, read by the sites in the sources (sites.py).

The debugger says of a site's function where it is, and the session's own Lua (inspect.lua) what that one sees. A local without a
site, in a line that is still to define one, is shown as the debugger writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync.debugger.backend.ldb import LdbError
from sync.debugger.backend.session import EvaluationError, Frame
from sync.debugger.backend.sited import OWN
from sync.debugger.backend.values import Value, names_in, parse, problem_of, quoted, result_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sync.debugger.backend.ldb import Ldb
    from sync.debugger.backend.program import Program
    from sync.debugger.backend.sites import Site

ROUGH = "(about) "
"""Stands before what the server's debugger writes: it leaves out digits, on Valkey also quotes, line ends and empty strings."""
HIDDEN = Value("(hidden by an inner call of the same function)")
_POINTER = "function@"


class LdbFrames:
    """The frames of one stop, read when they are asked for; `forget` when the script goes on."""

    def __init__(self, ldb: Ldb, program: Program) -> None:
        self._ldb, self._program = ldb, program
        self.forget()

    def forget(self) -> None:
        self._trace: list[Frame] | None = None
        self._lines: list[int] = []
        self._found: dict[int, tuple[int, str]] = {}

    def all(self) -> Sequence[Frame]:
        """The functions of sprocs that run, the innermost first."""
        if self._trace is None:
            found, self._lines = [], []
            for name, line in self._ldb.trace():
                if place := self._program.place(line):
                    main = self._program.code(place.name).function_at(place.line) == 0
                    found.append(Frame(place.name if main else name, place))
                    self._lines.append(line)
            self._trace = found
        return self._trace

    def variables(self, frame: int) -> Mapping[str, Value]:
        """A frame's locals."""
        if frame >= len(self.all()):
            return {}
        own, _ = self._names(frame)
        rough = self._rough(frame)
        if self._hidden(frame):
            return dict.fromkeys(rough, HIDDEN)
        return self._read(frame, own) | {name: self._roughly(name, frame) for name in rough if name not in own}

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        """The locals of outer functions that a frame's function uses."""
        frames = self.all()
        if frame >= len(frames):
            return {}
        place = frames[frame].place
        own, outer = self._names(frame)
        used = self._program.code(place.name).upvalues_at(place.line)
        return self._read(frame, [name for name in used if name in outer and name not in own])

    def arguments(self, frame: int) -> Mapping[str, Value]:
        if frame >= len(self.all()):
            return {}
        names = ["KEYS", "ARGV"]
        if self._site(frame)[0]:
            return self._read(frame, names)
        return {name: self._roughly(name, frame) for name in names} if frame == 0 else {}

    def _names(self, frame: int) -> tuple[list[str], set[str]]:
        """The names that its site sees: the function's own, in their order, and those of functions around."""
        number, _ = self._site(frame)
        place = self.all()[frame].place
        chain: list[Site] = [*self._program.sited[place.name].chain(number)]
        own: list[str] = []
        outer: set[str] = set()
        current = self._own_function(frame)
        for site in reversed(chain):
            cut = len(site.names) if site.function != current or not site.before else site.outer
            outer.update(site.names[:cut])
            own += site.names[cut:]
        return list(dict.fromkeys(own)), outer

    def _own_function(self, frame: int) -> int:
        """The number of the function that a frame runs: that of its site, if it has one of its own."""
        place, line = self.all()[frame].place, self._lines[frame]
        number, _ = self._site(frame)
        for visible in self._program.sites(line):
            if number in visible:
                return self._program.sited[place.name].sites[number].function
        return -1

    def _site(self, frame: int) -> tuple[int, str]:
        """The newest site of a frame, and its function as Lua writes it; that of a function around if it has none; 0 for none."""
        if frame not in self._found:
            self._found[frame] = next(self._sites(frame), (0, ""))
        return self._found[frame]

    def _sites(self, frame: int) -> Iterator[tuple[int, str]]:
        frames = self.all()
        if frame >= len(frames):
            return
        for number in self._numbers(frame):
            if pointer := self._pointer(number):
                yield number, pointer
        name, function = self._program.function_at(frames[frame].place)
        for outer in range(frame + 1, len(frames)):
            there, around = self._program.function_at(frames[outer].place)
            if there == name and self._is_around(name, around, function):
                yield from self._sites(outer)

    def _numbers(self, frame: int) -> list[int]:
        return [visible[-1] for visible in self._program.sites(self._lines[frame]) if visible]

    def _pointer(self, number: int) -> str:
        text = self._ldb.value(f"{OWN}{number}") or ""
        return "function: " + text.partition(_POINTER)[2].strip('"') if _POINTER in text else ""

    def _is_around(self, name: str, outer: int, inner: int) -> bool:
        while (inner := self._program.code(name).parent_of(inner)) >= 0:
            if inner == outer:
                return True
        return False

    def _hidden(self, frame: int) -> bool:
        """Whether an inner frame is of the same function, whose locals the debugger finds first."""
        number, _ = self._site(frame)
        inner = (one for at in range(frame) for visible in self._program.sites(self._lines[at]) for one in visible)
        return number > 0 and number in inner

    def _rough(self, frame: int) -> list[str]:
        place = self.all()[frame].place
        return self._program.code(place.name).locals_at(place.line)

    def _roughly(self, name: str, frame: int) -> Value:
        """As LDB writes it: the value of the innermost local of that name."""
        if any(name in self._rough(inner) for inner in range(frame)):
            return Value("(hidden by a local of an inner function)")
        text = self._ldb.value(name)
        return Value("(not there yet)" if text is None else f"{ROUGH}{text}")

    def _read(self, frame: int, names: Sequence[str]) -> dict[str, Value]:
        number, pointer = self._site(frame)
        if not number or not names:
            return {}
        found = parse(self._asked(f"return {_INSPECT}.read({number}, '{pointer}', '{' '.join(names)}')")[1:])
        return dict(zip(names, found, strict=True))

    def evaluate(self, expression: str, frame: int, *, sets: bool = False) -> Value:
        number, pointer = self._site(frame)
        if frame < len(self.all()):
            own, _ = self._names(frame)
            rough = {*self._rough(frame)} - {*own}
            hidden = self._hidden(frame)
            for name in names_in(expression):
                if hidden and name in own:
                    raise EvaluationError(f"{name} is {HIDDEN.text}")
                if name in rough:
                    raise EvaluationError(f"{name} can't be used here: the server's debugger only shows it")
        code = f"return {_INSPECT}.evaluate({number}, '{pointer}', {quoted(expression)}, {str(sets).lower()})"
        found = self._asked(code)
        if not found.startswith("="):
            raise EvaluationError(self._program.named(problem_of(expression, found)))
        return result_of(expression, found[1:])

    def raised(self) -> str:
        """The text of the error that was raised."""
        return problem_of("", self._asked(f"return {_INSPECT}.raised()"))

    def _asked(self, code: str) -> str:
        """What inspect.lua answers. Raises EvaluationError: something else answers."""
        pieces = [""]
        try:
            while pieces[-1].endswith(">") or len(pieces) == 1:
                sound, text = self._ldb.evaluate(code)
                pieces.append(text.strip('"'))
                code = f"return {_INSPECT}.more()"
        except LdbError as error:
            raise EvaluationError(str(error)) from error
        text = "".join(one.removesuffix(">") for one in pieces)
        if not sound:
            raise EvaluationError(self._program.named(text))
        return text


_INSPECT = "getmetatable(ARGV).luasprocs"
