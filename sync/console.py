"""What commands print: colours and tables on a terminal, plain text in a pipe, JSON where it is asked for."""

from __future__ import annotations

import os
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from luasprocs.operations.terminal import Replacing, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.errors import Problem

_ESCAPES = Replacing(lambda character: ascii(character)[1:-1], {"\t": "\t", "\n": "\n", "\r": "\\x0d"})
_STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def safe(text: str) -> str:
    """Text that neither drives a terminal nor deceives its reader: hostile characters as escapes."""
    return clean(text, _ESCAPES)


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

    def style(self, text: str, *names: str) -> str:
        """`text` in a style, where there are colours."""
        if not self.colour or not names:
            return text
        return f"\x1b[{';'.join(_STYLES[name] for name in names)}m{text}\x1b[0m"

    def line(self, text: str = "", *styles: str) -> None:
        """One line of output, safe for a terminal."""
        print(self.style(safe(text), *styles), file=self.out)

    def diff_line(self, text: str) -> None:
        """One line of a unified diff."""
        self.line(text, *([_DIFF_STYLES[text[0]]] if text[:1] in _DIFF_STYLES else []))

    def nothing(self, text: str) -> None:
        """That there is nothing to list: for people, so that who counts lines in a pipe counts none."""
        print(safe(text), file=self.out if self.terminal else self.err)

    def json(self, value: Any) -> None:
        """One value as a line of JSON."""
        import json  # noqa: PLC0415  # 1 ms, which few commands need

        print(json.dumps(value, ensure_ascii=True), file=self.out)

    def error(self, message: str) -> None:
        """One readable line on standard error."""
        self.out.flush()
        print(f"luasprocs: {safe(message)}", file=self.err)

    def warn(self, message: str) -> None:
        """A warning on standard error."""
        self.error(f"warning: {message}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """All problems, a line each, on standard error."""
        self.out.flush()
        for problem in problems:
            line = safe(str(problem)).replace("\n", "\\n").replace("\t", "\\t")
            print(line, file=self.err)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        print(f"luasprocs: {count} found", file=self.err)

    def table(self, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows: aligned under a head on a terminal (the last column cut to fit), tab-separated without one in a pipe."""
        texts = [[safe(str(cell)).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
        if not self.terminal:
            for row in texts:
                print("\t".join(row), file=self.out)
            return
        widths = [max(map(width, column)) for column in zip(head, *texts, strict=True)]
        import shutil  # noqa: PLC0415  # 2 ms, for a terminal alone

        room = max(10, shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1))
        print(self.style(_row([name.upper() for name in head], widths, room), "bold"), file=self.out)
        for row in texts:
            print(_row(row, widths, room), file=self.out)


def _row(cells: Sequence[str], widths: Sequence[int], room: int) -> str:
    padded = [cell + " " * (size - width(cell)) for cell, size in zip(cells[:-1], widths[:-1], strict=True)]
    last = cells[-1] if width(cells[-1]) <= room else cells[-1][: room - 1] + "…"
    return "  ".join([*padded, last]).rstrip()
