"""What Lua's compiler says of a source: lines with code, the locals that are there, the lines that may follow one. Pure.

Instructions: `lopcodes.h` of Lua 5.1.5.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.chunk import read_chunk
from luasprocs.language.compiler import LOCALS, dumped
from luasprocs.language.shebang import compilable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.language.chunk import Prototype

LOADBOOL, JMP, RETURN, FORLOOP, FORPREP, SETLIST = 2, 22, 30, 31, 32, 34
_SKIPPING = frozenset(
    {23, 24, 25, 26, 27, 33}
)  # EQ, LT, LE, TEST, TESTSET, TFORLOOP: the next one, or the one behind it
_JUMP_ZERO = 131071


class Following(NamedTuple):
    """The lines that may run after a line in the same function; `returns`: it may end there."""

    lines: frozenset[int]
    returns: bool


class CompiledSource:
    """One source as compiled; lines from 1. Of a source that doesn't compile nothing is known."""

    def __init__(self, source: bytes) -> None:
        self._source = source

    @cached_property
    def _functions(self) -> tuple[Prototype, ...]:
        chunk = dumped(b"\n" + compilable(self._source))  # what stands before a source is not on its first line then
        return tuple(_own(read_chunk(chunk, spans=True)).walk()) if chunk else ()

    @cached_property
    def _end(self) -> int:
        """The line of the chunk's own last `return`, which no file has."""
        return self._functions[0].lines[-1] if self._functions else 0

    @cached_property
    def lines(self) -> frozenset[int]:
        """The lines where a run can stop."""
        ends = (-1 if not function.first_line else None for function in self._functions)
        found = (function.lines[:end] for function, end in zip(self._functions, ends, strict=True))
        return frozenset(line for lines in found for line in lines if line > 0)

    def at_or_after(self, line: int) -> int | None:
        """The line where a breakpoint on a line stops."""
        return min((one for one in self.lines if one >= line), default=None)

    @property
    def entry(self) -> int:
        """The first line that runs."""
        main = self._functions[0].lines if self._functions else ()
        return next((line for line in main if line in self.lines), 1)

    def functions_at(self, line: int) -> frozenset[int]:
        """The numbers of all functions that have code on a line: a function's last line is also of the one that makes it."""
        return frozenset(number for number, one in enumerate(self._functions) if line in one.lines)

    def function_at(self, line: int) -> int:
        """The number of the function that a line is of, the innermost if several stand there."""
        return max(self.functions_at(line), key=lambda number: self._functions[number].first_line, default=0)

    def parent_of(self, function: int) -> int:
        """The number of the function around one; -1 of the whole chunk."""
        inner = self._functions[function] if self._functions else None
        return next((n for n, one in enumerate(self._functions) if any(inner is nested for nested in one.nested)), -1)

    def locals_at(self, line: int) -> list[str]:
        """The locals that are there when a line begins to run, the newest of a name last; without what the engine hands over."""
        if not self._functions:
            return []
        function = self._functions[self.function_at(line)]
        at = next((place for place, one in enumerate(function.lines) if one == line), 0)
        found = zip(function.locals, function.spans, strict=True)
        names = (name.decode("utf-8", "replace") for name, (start, end) in found if start <= at < end)
        return list(dict.fromkeys(name for name in names if not name.startswith("(") and name not in LOCALS))

    def upvalues_at(self, line: int) -> list[str]:
        """The locals of outer functions that a line's function uses."""
        if not self._functions:
            return []
        names = (name.decode("utf-8", "replace") for name in self._functions[self.function_at(line)].code.upvalues)
        return [name for name in names if name not in LOCALS]

    def following(self, line: int) -> Following:
        """What may run next, of all functions on a line; the line itself only if nothing else may, in a loop that never ends."""
        lines: set[int] = set()
        returns = False
        for function in self._functions:
            for at, own in enumerate(function.lines):
                if own == line:
                    returns = returns or function.code.step(at).op == RETURN
                    lines.update(function.lines[one] for one in _successors(function, at) if one < len(function.lines))
        others = frozenset(lines) - {line, *({self._end} - self.lines)}
        returns = returns or self._end in lines
        return Following(others if others or returns else frozenset(lines & {line}), returns)


def _own(chunk: Prototype) -> Prototype:
    """A source's own function: the chunk, or the only one in it (`ROOMY`), with the source's lines."""
    inner = chunk.nested[0] if chunk.nested and chunk.nested[0].first_line == 1 else chunk
    return _raised(inner)


def _raised(function: Prototype) -> Prototype:
    """One line up."""
    return function._replace(
        lines=tuple(line - 1 for line in function.lines),
        first_line=max(function.first_line - 1, 0),
        nested=tuple(map(_raised, function.nested)),
    )


def _successors(function: Prototype, at: int) -> Iterator[int]:
    step = function.code.step(at)
    jump = at + 1 + step.bx - _JUMP_ZERO
    if step.op == RETURN:
        return
    if step.op in {JMP, FORPREP}:
        yield jump
    elif (step.op == LOADBOOL and step.c) or (step.op == SETLIST and not step.c):
        yield at + 2
    else:
        yield at + 1
        if step.op in _SKIPPING:
            yield at + 2
        elif step.op == FORLOOP:
            yield jump
