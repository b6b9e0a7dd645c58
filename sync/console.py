"""What commands print: colours and tables on a terminal, plain text in a pipe, JSON where it is asked for."""

from __future__ import annotations

import os
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from luasprocs.operations.terminal import Printable, Replacing, clean, escape, escaped, in_a_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.errors import Problem

_CELLS = Replacing(escape, {"\t": " ", "\n": " ", "\r": "\\x0d"})
_STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command prints. `colour` follows the terminal, NO_COLOR and FORCE_COLOR."""

    out: TextIO
    err: TextIO
    terminal: bool
    colour: bool

    @classmethod
    def of_process(cls) -> Console:
        """Of this process' standard output and error."""
        terminal = sys.stdout.isatty()
        colour = "NO_COLOR" not in os.environ and (terminal or bool(os.environ.get("FORCE_COLOR")))
        return cls(sys.stdout, sys.stderr, terminal, colour)

    def style(self, text: Printable, *names: str) -> Printable:
        """`text` in a style, where there are colours."""
        if not self.colour or not names:
            return text
        return Printable(f"\x1b[{';'.join(_STYLES[name] for name in names)}m{text}\x1b[0m")

    def print(self, line: Printable, *, err: bool = False) -> None:
        """All that a command says comes by here, except what was asked for byte for byte."""
        print(line, file=self.err if err else self.out)

    def line(self, text: str = "", *styles: str) -> None:
        """One line of output, safe for a terminal."""
        self.print(self.style(escaped(text), *styles))

    def diff_line(self, text: str) -> None:
        """One line of a unified diff."""
        self.line(text, *([_DIFF_STYLES[text[0]]] if text[:1] in _DIFF_STYLES else []))

    def nothing(self, text: str) -> None:
        """That there is nothing to list: for people, so that who counts lines in a pipe counts none."""
        self.print(escaped(text), err=not self.terminal)

    def json(self, value: Any) -> None:
        """One value as a line of JSON."""
        self.print(json_text(value))

    def error(self, message: str) -> None:
        """One readable line on standard error."""
        self.out.flush()
        self.print(escaped(f"luasprocs: {message}"), err=True)

    def warn(self, message: str) -> None:
        """A warning on standard error."""
        self.error(f"warning: {message}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """All problems, a line each, on standard error."""
        self.out.flush()
        for problem in problems:
            self.print(in_a_line(str(problem)), err=True)
        self.error(f"{len(problems)} problem{'s' if len(problems) != 1 else ''} found")

    def table(self, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows: aligned under a head on a terminal (the last column cut to fit), tab-separated without one in a pipe."""
        texts = [[cell_of(str(cell)) for cell in row] for row in rows]
        if not self.terminal:
            for row in texts:
                self.print(Printable("\t".join(row)))
            return
        widths = [max(map(width, column)) for column in zip(head, *texts, strict=True)]
        import shutil  # noqa: PLC0415  # 2 ms, for a terminal alone

        room = max(10, shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1))
        self.print(self.style(_row([escaped(name.upper()) for name in head], widths, room), "bold"))
        for row in texts:
            self.print(_row(row, widths, room))


def json_text(value: Any) -> Printable:
    """One line of JSON, in ASCII; JSON leaves one control character as it is."""
    import json  # noqa: PLC0415  # 1 ms, which few commands need

    return escaped(json.dumps(value).replace("\x7f", "\\u007f"))


def cell_of(text: str) -> Printable:
    """A text in a table, in one line."""
    return clean(text, _CELLS)


def _row(cells: Sequence[Printable], widths: Sequence[int], room: int) -> Printable:
    padded = [cell + " " * (size - width(cell)) for cell, size in zip(cells[:-1], widths[:-1], strict=True)]
    last = cells[-1] if width(cells[-1]) <= room else cells[-1][: room - 1] + "…"
    return Printable("  ".join([*padded, last]).rstrip())
