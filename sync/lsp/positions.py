"""Places as editors count them: lines and columns from 0, columns in the units that client and server agreed on."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

from lsprotocol import types

_LINE_END = re.compile(r"\r\n|\n|\r")
_WIDE = re.compile("[\U00010000-\U0010ffff]")


class Positions:
    """The places of one text. Its lines end as LSP says, at `\\n`, `\\r\\n` and `\\r` alone.

    pygls' own count them by `str.splitlines`, which also ends them at form feeds and some rarer characters.
    """

    def __init__(self, text: str, encoding: types.PositionEncodingKind) -> None:
        self.text = text
        self.encoding = encoding
        if "\r" in text:
            self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
        else:  # nearly every text, and several times faster
            self._starts = [0, *accumulate(len(line) + 1 for line in text.split("\n")[:-1])]
        self._same = encoding == types.PositionEncodingKind.Utf32 or text.isascii()

    def offset(self, position: types.Position) -> int:
        """Where a place is in the text; past a line's end: there."""
        if position.line >= len(self._starts):
            return len(self.text)
        start = self._starts[position.line]
        end = self._starts[position.line + 1] if position.line + 1 < len(self._starts) else len(self.text)
        line = self.text[start:end].rstrip("\r\n")
        if self._same:
            return start + min(position.character, len(line))
        units = 0
        for at, char in enumerate(line):
            if units >= position.character:
                return start + at
            units += self._units(char)
        return start + len(line)

    def position(self, offset: int) -> types.Position:
        """The place of an offset."""
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset]
        return types.Position(line, len(before) if self._same else self._units(before))

    def range(self, start: int, end: int) -> types.Range:
        """From one offset to another."""
        return types.Range(self.position(start), self.position(end))

    def _units(self, text: str) -> int:
        if self.encoding == types.PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text) + len(_WIDE.findall(text))
