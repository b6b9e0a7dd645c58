"""Columns and lines of a table: how wide, and what stands in them. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size

from luasprocs_tui.values.safe import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
CELL_CHARACTERS = 400
FAIR = 20
"""For texts; what can be shorter says so."""


class Column(NamedTuple):
    """One column, `least` to `most` cells wide. `grow`: takes what the others leave; `right`: for numbers.

    `rank`: what is missed least goes first where there is no room for all, the highest before the others; 0 stays. A growing
    column with a rank is left out if the others leave it less than `least`. `third`: takes a third of the table at most, for
    which others are left out; the middle of what is too long is left out. `fair`: cells that
    others are left out for that one misses less.
    """

    label: str
    least: int
    most: int
    right: bool = False
    grow: bool = False
    rank: int = 0
    third: bool = False
    fair: int = FAIR


class Line(NamedTuple):
    """One row: `key` is what selection survives by; `tone` the name of a style: ok, bad, off, warn.

    `sign`: one cell before it. `said`: what stands in place of the cells from the one at `said_from` on.
    """

    key: str
    cells: tuple[str, ...]
    tone: str = "ok"
    sign: str = " "
    said: str = ""
    said_from: int = 0


def widths(columns: Sequence[Column], longest: Sequence[int], room: int) -> list[int]:
    """Cells for each column, 0 for one that has no place: as long as its content, if there is room."""
    found = [
        0 if column.grow else min(max(long, column.least), _most(column, room))
        for column, long in zip(columns, longest, strict=True)
    ]
    stays = sum(column.least + GAP for column in columns if column.grow and not column.rank)
    for index in sorted(range(len(columns)), key=lambda index: (-columns[index].rank, -index)):
        rank = columns[index].rank
        least = [
            size if one.third else min(size, one.least if one.rank >= rank else max(one.least, one.fair))
            for size, one in zip(found, columns, strict=True)
        ]
        if rank and sum(size + GAP for size in least if size) - GAP > room - stays:
            found[index] = 0
    spare = room - stays - sum(size + GAP for size in found if size) + GAP
    for index in reversed(range(len(columns))):  # what stands on the left says what a row is
        if spare >= 0:
            break
        cut = min(-spare, max(0, found[index] - columns[index].least))  # 0 for what is left out
        found[index] -= cut
        spare += cut
    spare += stays
    for index, column in enumerate(columns):
        if column.grow and spare - GAP >= column.least:
            found[index] = min(spare - GAP, column.most)
            spare -= found[index] + GAP
    return found


def _most(column: Column, room: int) -> int:
    return min(column.most, max(column.least, -(-room // 3))) if column.third else column.most


def fit(text: str, width: int, *, right: bool = False, middle: bool = False) -> str:
    """Safe text of exactly `width` cells."""
    safe: str = clean(text, CELL_CHARACTERS)
    if cell_len(safe) > width:
        end = _last(safe, (width - 1) // 2) if middle else ""
        safe = set_cell_size(safe, max(0, width - 1 - cell_len(end))) + "…"[:width] + end
    return " " * (width - cell_len(safe)) + safe if right else set_cell_size(safe, width)


def folded(text: str, at: int, width: int) -> str:
    """One of the lines that a text takes below a table's head, or "" for none."""
    lines = wrap(clean(text, CELL_CHARACTERS), max(10, width - 4))
    return fit(f"  {lines[at]}", width) if at < len(lines) else ""


def fitting(facts: str, room: int) -> str:
    """As many facts as have room, with two blanks between; the first is always there."""
    while cell_len(facts) > room and "  " in facts:
        facts = facts.rpartition("  ")[0]
    return facts


def _last(text: str, width: int) -> str:
    """The end of a text, of `width` cells at most."""
    end = text[len(text) - width :] if width > 0 else ""
    while cell_len(end) > width:
        end = end[1:]
    return end


def row_text(columns: Sequence[Column], line: Line, sizes: Sequence[int], room: int) -> tuple[str, str]:
    """The first cell of a line, and all behind it: together `room` cells wide."""
    if line.said and not line.said_from:
        return "", fit(line.said, room)
    parts = []
    for at, (cell, size, column) in enumerate(zip(line.cells, sizes, columns, strict=True)):
        if line.said and at >= line.said_from:
            break
        if size:
            parts.append(fit(cell, size, right=column.right, middle=column.third))
    text = (" " * GAP).join((*parts, line.said) if line.said else parts)
    first = parts[0] if parts else ""
    return first, fit(text[len(first) :], room - cell_len(first))
