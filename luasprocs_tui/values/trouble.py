"""What in the list is in trouble, how that is said, and in which order it stands. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.values import some_of
from luasprocs.server.readable_errors import readable_error
from luasprocs_tui.values.lines import BENEATH
from luasprocs_tui.values.numbers import age, short_us
from luasprocs_tui.values.tree import folders_of

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
    """The worst first, as the list stands. FAILING, DEAD, MISSED are findings, too; ERRING (now and then), SLOW are not."""

    FAILING = 0
    DEAD = 1
    MISSED = 2
    ERRING = 3
    SLOW = 4
    PAUSED = 5
    EDITED = 6
    NONE = 7
    QUIET = 8


SIGNS = {
    Trouble.FAILING: "●",
    Trouble.DEAD: "✗",
    Trouble.MISSED: "◔",
    Trouble.ERRING: "◐",
    Trouble.SLOW: "◐",
    Trouble.PAUSED: "‖",
    Trouble.EDITED: "✎",
}
TONES = {
    Trouble.FAILING: "bad",
    Trouble.DEAD: "bad",
    Trouble.MISSED: "warn",
    Trouble.ERRING: "warn",
    Trouble.SLOW: "warn",
    Trouble.PAUSED: "off",
    Trouble.EDITED: "warn",
    Trouble.QUIET: "off",
}


def trouble_of(row: Row, now_ms: float) -> Trouble:
    """The worst that can be said of a sproc. `now_ms`: the server's clock."""
    if row.counters.failing or row.dead or row.missed:
        return Trouble.FAILING if row.counters.failing else Trouble.DEAD if row.dead else Trouble.MISSED
    if row.counters.erring:
        return Trouble.ERRING
    if is_slow(row, now_ms):
        return Trouble.SLOW
    if row.state == "paused":
        return Trouble.PAUSED
    if row.state in {"edited", "drift"}:
        return Trouble.EDITED
    return Trouble.NONE if _ran_lately(row, now_ms) or row.counters.per_s else Trouble.QUIET


def _ran_lately(row: Row, now_ms: float) -> bool:
    return now_ms / 1000 - row.counters.last_run_s < QUIET_AFTER_S


def is_slow(row: Row, now_ms: float) -> bool:
    """Whether it takes much of the server's one thread, or all of it for long."""
    long = not row.asynchronous and (row.counters.p99_us or 0) >= SLOW_US
    return (row.counters.share or 0) >= SLOW_SHARE or (long and _ran_lately(row, now_ms))


def said_of(row: Row, now_ms: float) -> str:
    """What stands in place of the numbers of one that isn't run by triggers; "" of all others."""
    if row.state == "paused":
        return f"paused{since_of(row, now_ms)}"
    if row.state == "disabled":
        return "disabled"
    return ""


def beneath(row: Row, now_ms: float) -> str:
    """One line more of a sproc, or ""."""
    worst = trouble_of(row, now_ms)
    if worst <= Trouble.ERRING and (said := _said_of_runs(row, worst, now_ms)):
        return said
    if row.state == "edited":
        why = f"can't be committed: {row.uncommitted}" if row.uncommitted else "not committed"
        return f"edited live{since_of(row, now_ms)}, {why}"
    if row.state == "drift":
        return "changed by hand: luasprocs sync repairs it"
    if worst is Trouble.SLOW and row.state != "paused":
        share = f"slow: {row.counters.share:.0%} of the server's time, " if row.counters.share else "slow: "
        return f"{share}p99 {short_us(row.counters.p99_us)}{_seen(row, now_ms)}"
    return f"edited, committed as {row.commit[:8]}" if row.commit else ""


def _said_of_runs(row: Row, worst: Trouble, now_ms: float) -> str:
    error = readable_error(row.counters.last_error).removeprefix("ERR ")
    dead = f"{row.dead} dead job{'s' * (row.dead != 1)}" if row.dead else ""
    if worst is Trouble.DEAD:
        return f"{dead}: {row.dead_error.removeprefix('ERR ')}"
    if worst is Trouble.MISSED:  # Redis counts them for as long as it counts anything of the sproc
        times = "a scheduled time," if row.missed == 1 else f"{row.missed} scheduled times so far, the last"
        return f"missed {times} noticed{_passed(row.missed_ms, now_ms)} ago"
    if worst is Trouble.ERRING:
        return error and f"now and then: {error}"
    return "; ".join(filter(None, (dead, error)))


def _seen(row: Row, now_ms: float) -> str:
    """Since when it is slow: Redis keeps no durations of the past, so at least since this screen has looked."""
    return f", for{_passed(row.slow_ms, now_ms)} at least" if row.slow_ms else ": nothing else is served meanwhile"


def _passed(at_ms: int, now_ms: float) -> str:
    return f" {age(max(0.0, now_ms - at_ms) / 1000)}" if at_ms else ""


def since_of(row: Row, now_ms: float) -> str:
    """How long ago it was paused or edited, and by whom: ` 2d by ann`, as far as that is known."""
    passed = _passed(row.since_ms, now_ms)
    return f"{passed} by {row.by}" if row.by else passed


class Group(NamedTuple):
    """Sprocs that stand out in the list, though no finding is about them. `wanted`: the filter that shows them; `since_ms`: when
    the first of them was seen so, 0 where nobody has looked at that.
    """

    title: str
    wanted: str
    message: str
    names: tuple[str, ...]
    since_ms: int = 0


def groups_of(rows: Collection[Row], now_ms: float) -> list[Group]:
    """Those that there are, the worst first."""
    erring = [row.name for row in rows if row.counters.erring and not row.counters.failing]
    slow = [row for row in rows if is_slow(row, now_ms)]
    found = []
    if erring:
        why = "failed within the last minute, though the last run went well"
        found.append(Group("NOW AND THEN", "-s erring", f"{some_of(erring)}: {why}", tuple(erring)))
    if slow:
        names = tuple(row.name for row in slow)
        why = f"over {SLOW_SHARE:.0%} of the server's time, or {SLOW_US // 1000} ms for one run in a hundred"
        since_ms = min((row.slow_ms for row in slow if row.slow_ms), default=0)
        found.append(Group("SLOW", "-s slow", f"{some_of(names)}: {why}", names, since_ms))
    return found


def worst_in(rows: Iterable[Row], closed: Collection[str], now_ms: float) -> dict[str, Trouble]:
    """The worst that each closed folder of the tree hides."""
    found: dict[str, Trouble] = {}
    for row in rows:
        for folder in folders_of(row.name) if closed else ():
            if folder in closed:
                found[folder] = min(trouble_of(row, now_ms), found.get(folder, Trouble.NONE))
    return found


def in_order(
    rows: Iterable[Row], now_ms: float, room: int, stay: Collection[str] = (), *, folded: bool = True
) -> tuple[list[str], int]:
    """Keys of the list's lines, trouble first, and how many quiet sprocs are folded into its last line.

    They are (`folded`) where all would take more than `room` lines; those of `stay` are not.
    """
    found: list[tuple[Trouble, Row]] = sorted(((trouble_of(row, now_ms), row) for row in rows), key=lambda one: one[0])
    keys: list[str] = []
    for trouble, row in found:
        keys.append(row.name)
        if (trouble < Trouble.NONE or row.commit) and beneath(row, now_ms):
            keys.append(row.name + BENEATH)
    if not folded or len(keys) <= room:
        return keys, 0
    quiet = {row.name for trouble, row in found if trouble is Trouble.QUIET and row.name not in stay}
    if len(quiet) < 2 or len(quiet) == len(found):
        return keys, 0
    return [*(key for key in keys if key not in quiet), FOLDED], len(quiet)
