"""What a schedule owes: the time to run now, and those that are given up. Pure; times are unix milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luasprocs.language.recurrence import Recurrence

GRACE_MS = 1000
"""With misfire=skip a time may still run so late: a server that was busy for a moment is no misfire."""
ALL_LIMIT = 100
"""With misfire=all at most so many are made up for; older ones are missed."""
COUNT_LIMIT = 10_000
"""Missed times are counted no further."""


@dataclass(frozen=True, slots=True)
class Due:
    """`at`: the time that is dealt with; `skipped`: it is not run. `missed`: how many times before it (and it, if it is skipped)
    are given up, `first` and `last` of them. `next`: the time after `at`, None where there is none.
    """

    at: int
    next: int | None
    skipped: bool = False
    missed: int = 0
    first: int = 0
    last: int = 0


def due(recurrence: Recurrence, done_ms: int, now_ms: int, misfire: str) -> Due | None:
    """What is due now, when all up to `done_ms` is done; None: nothing. `misfire`: skip, once, or all."""
    kept = recurrence.newest(done_ms, now_ms, ALL_LIMIT if misfire == "all" else 1)
    if not kept:
        return None
    at = kept[0]
    skipped = misfire == "skip" and now_ms - at > GRACE_MS
    missed = recurrence.count(done_ms, at if skipped else at - 1, COUNT_LIMIT)
    first = last = 0
    if missed:
        first = recurrence.next_after(done_ms) or at
        last = at if skipped else recurrence.newest(done_ms, at - 1, 1)[0]
    return Due(at, recurrence.next_after(at), skipped, missed, first, last)
