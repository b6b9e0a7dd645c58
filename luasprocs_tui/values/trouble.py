"""What in the list is in trouble, how that is said, and in which order it stands. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from luasprocs.server.readable_errors import readable_error
from luasprocs_tui.values.lines import BENEATH
from luasprocs_tui.values.numbers import age, short_us

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from luasprocs_tui.values.rows import Row

SLOW_SHARE = 0.02
"""Of the server's one thread: what takes more is worth a look."""
SLOW_US = 100_000
"""So long nobody else is served."""
QUIET_AFTER_S = 60
FOLDED = BENEATH + "…"
"""The key of the line that stands for the quiet ones."""


class Trouble(IntEnum):
    """The worst first, as the list stands. FAILING is what the finding says; ERRING is the list's alone: now and then."""

    FAILING = 0
    ERRING = 1
    SLOW = 2
    PAUSED = 3
    EDITED = 4
    NONE = 5
    QUIET = 6


SIGNS = {Trouble.FAILING: "●", Trouble.ERRING: "◐", Trouble.SLOW: "◐", Trouble.PAUSED: "⏸", Trouble.EDITED: "✎"}
TONES = {
    Trouble.FAILING: "bad",
    Trouble.ERRING: "warn",
    Trouble.SLOW: "warn",
    Trouble.PAUSED: "off",
    Trouble.EDITED: "warn",
    Trouble.QUIET: "off",
}


def trouble_of(row: Row, now_ms: float) -> Trouble:
    """The worst that can be said of a sproc. `now_ms`: the server's clock."""
    counted = row.counters
    if counted.failing or counted.erring:
        return Trouble.FAILING if counted.failing else Trouble.ERRING
    if is_slow(row, now_ms):
        return Trouble.SLOW
    if row.state == "paused":
        return Trouble.PAUSED
    if row.state in {"edited", "drift"}:
        return Trouble.EDITED
    return Trouble.NONE if _ran_lately(row, now_ms) or counted.per_s else Trouble.QUIET


def _ran_lately(row: Row, now_ms: float) -> bool:
    return now_ms / 1000 - row.counters.last_run_s < QUIET_AFTER_S


def is_slow(row: Row, now_ms: float) -> bool:
    """Whether it takes much of the server's one thread, or all of it for long."""
    long = not row.asynchronous and (row.counters.p99_us or 0) >= SLOW_US
    return (row.counters.share or 0) >= SLOW_SHARE or (long and _ran_lately(row, now_ms))


def said_of(row: Row, now_ms: float) -> str:
    """What stands in place of the numbers of one that isn't run by triggers; "" of all others."""
    if row.state == "paused":
        return f"paused{_since(row, now_ms)}"
    if row.state == "disabled":
        return "disabled"
    return ""


def beneath(row: Row, now_ms: float) -> str:
    """One line more of a sproc, or ""."""
    if (row.counters.failing or row.counters.erring) and row.counters.last_error:
        often = "" if row.counters.failing else "now and then: "
        return often + readable_error(row.counters.last_error).removeprefix("ERR ")
    if row.state == "edited":
        return f"edited live{_since(row, now_ms)}, not committed"
    if row.state == "drift":
        return "changed by hand: luasprocs sync repairs it"
    if row.state != "paused" and is_slow(row, now_ms):
        share = f"slow: {row.counters.share:.0%} of the server's time, " if row.counters.share else "slow: "
        return f"{share}p99 {short_us(row.counters.p99_us)}: nothing else is served meanwhile"
    return f"edited, committed as {row.commit[:8]}" if row.commit else ""


def _since(row: Row, now_ms: float) -> str:
    passed = f" {age(max(0.0, now_ms - row.since_ms) / 1000)}" if row.since_ms else ""
    return f"{passed} by {row.by}" if row.by else passed


def in_order(
    rows: Iterable[Row], now_ms: float, room: int, stay: Collection[str] = (), *, folded: bool = True
) -> tuple[list[str], int]:
    """Keys of the list's lines, trouble first, and how many quiet sprocs are folded into its last line.

    They are (`folded`) where all would take more than `room` lines; those of `stay` are not.
    """
    found: list[tuple[Trouble, Row]] = sorted(((trouble_of(row, now_ms), row) for row in rows), key=lambda one: one[0])
    keys: list[str] = []
    for _, row in found:
        keys.append(row.name)
        if beneath(row, now_ms):
            keys.append(row.name + BENEATH)
    if not folded or len(keys) <= room:
        return keys, 0
    quiet = {row.name for trouble, row in found if trouble is Trouble.QUIET and row.name not in stay}
    if len(quiet) < 2 or len(quiet) == len(found):
        return keys, 0
    return [*(key for key in keys if key not in quiet), FOLDED], len(quiet)
