"""The list's columns, and a sproc as a line of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.lines import BENEATH
from luasprocs_tui.values.numbers import NOTHING, age, short_number, short_rate, short_us
from luasprocs_tui.values.shares import share_text
from luasprocs_tui.values.trouble import FOLDED, SIGNS, TONES, beneath, said_of, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs_tui.values.rows import Row

COLUMNS = (
    Column("NAME", 14, 60, third=True),
    Column("TRIGGER", 10, 44, rank=3, fair=12),
    Column("RUN/S", 5, 5, right=True),
    Column("ERR/S", 5, 5, right=True),
    Column("LAST", 4, 4, right=True),
    Column("P99", 5, 5, right=True, rank=1),
    Column("REDIS", 5, 5, right=True, rank=2),
    Column("IN", 4, 4, right=True, rank=4),
    Column("P50", 5, 5, right=True, rank=6),
    Column("ERRORS", 6, 6, right=True, rank=5),
    Column("RUNS", 5, 5, right=True, rank=7),
    Column("CALLS", 5, 5, right=True, rank=8),
    Column("DESCRIPTION", 14, 400, grow=True, rank=9),
)
RATES = 2
"""The first column of numbers."""


def sort_keys(now_ms: float) -> tuple[Callable[[Row], Any], ...]:
    """What each column is sorted by."""
    return (
        lambda row: row.name,
        lambda row: row.trigger,
        lambda row: row.counters.per_s or 0,
        lambda row: row.counters.errors_per_s or 0,
        lambda row: row.counters.last_run_s,
        lambda row: row.counters.p99_us or 0,
        lambda row: row.counters.share or 0,
        lambda row: row.due_ms(now_ms) or float("inf"),
        lambda row: row.counters.p50_us or 0,
        lambda row: row.counters.errors or 0,
        lambda row: row.counters.runs or 0,
        lambda row: row.counters.calls or 0,
        lambda row: row.description,
    )


def line_of(row: Row, now_ms: float, label: str = "") -> Line:
    """A row as the table takes it; `now_ms`: the server's clock; `label`: for its name in a tree."""
    counted, due_ms = row.counters, row.due_ms(now_ms) if any(row.schedule) else None
    cells = (
        label or row.name,
        row.trigger,
        short_rate(counted.per_s),
        short_rate(counted.errors_per_s or None),
        age(max(0.0, now_ms / 1000 - counted.last_run_s)) if counted.last_run_s else NOTHING,
        short_us(counted.p99_us),
        share_text(counted.share),
        "" if due_ms is None else age(-(-(due_ms - now_ms) // 1000)),
        short_us(counted.p50_us),
        *(short_number(number) for number in (counted.errors, counted.runs, counted.calls)),
        row.description,
    )
    trouble = trouble_of(row, now_ms)
    return Line(row.name, cells, TONES.get(trouble, "ok"), SIGNS.get(trouble, " "), said_of(row, now_ms), RATES)


def line_beneath(row: Row, now_ms: float) -> Line:
    """What more there is to say of a row."""
    return Line(row.name + BENEATH, (), sign="│", said=beneath(row, now_ms))


def line_of_folded(count: int) -> Line:
    """The one that stands for the quiet ones."""
    return Line(FOLDED, (), "off", "…", f"{count} more are quiet (a)")
