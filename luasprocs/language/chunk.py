"""Reads what Lua 5.1's `string.dump` writes. Pure.

Formats: `lundump.c` and `lopcodes.h` of Lua 5.1.5.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_BYTES = 12
_NIL, _BOOLEAN, _NUMBER, _STRING = 0, 1, 3, 4

Constant = bytes | float | bool | None


class Instruction(NamedTuple):
    """One instruction; `bx` is `b` and `c` as one number."""

    op: int
    a: int
    b: int
    c: int
    bx: int


@lru_cache(maxsize=1 << 14)  # most stand in a chunk many times, and each is asked for several times
def _instruction(word: int) -> Instruction:
    return Instruction(word & 63, word >> 6 & 255, word >> 23, word >> 14 & 511, word >> 14)


class Bytecode(NamedTuple):
    """What a function does, wherever it stands: its instructions as numbers, and what they name."""

    words: tuple[int, ...]
    constants: tuple[Constant, ...]
    upvalues: tuple[bytes, ...]

    def step(self, at: int) -> Instruction:
        """One instruction, taken apart."""
        return _instruction(self.words[at])


class Prototype(NamedTuple):
    """One function: its code, the source's line of each instruction, the functions in it.

    `first_line`: where it begins, 0 of a whole chunk; `spans`: from which instruction to which each local is there, if asked for.
    """

    code: Bytecode
    lines: tuple[int, ...]
    nested: tuple[Prototype, ...]
    locals: tuple[bytes, ...]
    first_line: int = 0
    spans: tuple[tuple[int, int], ...] = ()

    def walk(self) -> Iterator[Prototype]:
        """This function and all within it."""
        yield self
        for function in self.nested:
            yield from function.walk()


def read_chunk(chunk: bytes, *, spans: bool = False) -> Prototype:
    """The main function of a dumped chunk."""
    return _Reader(chunk, spans=spans).function()


class _Reader:
    """A position in a chunk, moved on by what is read."""

    def __init__(self, chunk: bytes, *, spans: bool) -> None:
        self._chunk, self._spanning = chunk, spans
        self._at = _HEADER_BYTES
        order = "<" if chunk[6] else ">"
        self._int = struct.Struct(order + "i")
        self._size = struct.Struct(order + ("Q" if chunk[8] == 8 else "I"))
        self._number = struct.Struct(order + "d")
        self._word = order + "%dI"

    def function(self) -> Prototype:
        self._string()
        first_line = self._next(self._int)
        self._at += self._int.size + 4  # its last line; upvalues, parameters, vararg, stack
        words = self._words()
        constants = tuple(self._constant() for _ in range(self._next(self._int)))
        nested = tuple(self.function() for _ in range(self._next(self._int)))
        lines = self._words()
        start = self._at
        names = self._names(2 * self._int.size)  # behind each local, where it begins and ends
        spans = self._spans(start) if self._spanning else ()
        upvalues = self._names()
        return Prototype(Bytecode(words, constants, upvalues), lines, nested, names, first_line, spans)

    def _spans(self, start: int) -> tuple[tuple[int, int], ...]:
        """Those of the locals that begin at `start`, which were read."""
        self._at = start
        return tuple(self._span() for _ in range(self._next(self._int)))

    def _span(self) -> tuple[int, int]:
        self._string()
        return self._next(self._int), self._next(self._int)

    def _names(self, behind: int = 0) -> tuple[bytes, ...]:
        """Strings, behind each of which so many bytes are passed over."""
        chunk, at, width, read = self._chunk, self._at + self._int.size, self._size.size, self._size.unpack_from
        found = []
        for _ in range(self._next(self._int)):  # in place of `_string`: most of a chunk with its names is such
            (size,) = read(chunk, at)
            at += width + size
            found.append(chunk[at - size : at - 1] if size else b"")
            at += behind
        self._at = at
        return tuple(found)

    def _next(self, kind: struct.Struct) -> int:
        (value,) = kind.unpack_from(self._chunk, self._at)
        self._at += kind.size
        return int(value)

    def _words(self) -> tuple[int, ...]:
        count = self._next(self._int)
        words = struct.unpack_from(self._word % count, self._chunk, self._at)
        self._at += 4 * count
        return words

    def _string(self) -> bytes:
        size = self._next(self._size)
        self._at += size
        return self._chunk[self._at - size : self._at - 1] if size else b""

    def _constant(self) -> Constant:
        kind = self._chunk[self._at]
        self._at += 1
        if kind == _STRING:
            return self._string()
        if kind == _NIL:
            return None
        width = 1 if kind == _BOOLEAN else self._number.size
        self._at += width
        raw = self._chunk[self._at - width : self._at]
        return bool(raw[0]) if kind == _BOOLEAN else float(self._number.unpack(raw)[0])
