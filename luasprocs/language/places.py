"""Places in a text: lines as Lua counts them, columns in characters, both from 1. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

LINE_END = re.compile(r"\r\n?|\n\r?")
"""As Lua counts lines."""


class Range(NamedTuple):
    """A stretch of a text, up to and without its end."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1


START = Range()
"""Of what is about a file as a whole: nothing, at its start."""


class Lines:
    """A text by its lines."""

    def __init__(self, text: str) -> None:
        self._text = text
        if "\r" in text:
            self._starts = [0, *(end.end() for end in LINE_END.finditer(text))]
        else:  # nearly every file, and several times faster
            self._starts = [0, *accumulate(len(line) + 1 for line in text.split("\n")[:-1])]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of an offset."""
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1

    def range(self, start: int, end: int) -> Range:
        """From one offset to another."""
        return Range(*self.place(start), *self.place(end))

    def span(self, line: int) -> tuple[int, int]:
        """The offsets of a line: its start, and that of the next one or the text's end. Past the last one: the end."""
        if line > len(self._starts):
            return len(self._text), len(self._text)
        return self._starts[line - 1], self._starts[line] if line < len(self._starts) else len(self._text)

    def offsets(self, found: Range) -> tuple[int, int]:
        """Where a range starts and ends, within the text; one without an end ends where it starts."""
        return self._offset(found.line, found.column), self._offset(
            found.end_line or found.line, found.end_column or found.column
        )

    def _offset(self, line: int, column: int) -> int:
        return min(self._starts[min(line, len(self._starts)) - 1] + column - 1, len(self._text))

    def slice(self, found: Range) -> str:
        """The text in a range."""
        start, end = self.offsets(found)
        return self._text[start:end]
