"""What stands around the sprocs, put into their rows: who paused or edited each, its dead jobs, the times that it missed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.acknowledgeable import gaps_of, unknown_after_ms
from luasprocs.operations.waiting_edits import waiting_edits
from luasprocs.state.jobs import count_dead
from luasprocs_tui.values.outages import outages
from luasprocs_tui.values.snapshots import Counts
from luasprocs_tui.values.trouble import is_slow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from luasprocs.operations.snapshot import Missed
    from luasprocs.operations.snapshot import Snapshot as Around
    from luasprocs.server.registry import Registry
    from luasprocs.state.jobs import DeadJobs
    from luasprocs.state.stats import Stats
    from luasprocs_tui.values.rows import Row

REST_FACTOR = 20
"""How many times its own duration a read of the dead jobs waits for the next."""
AGAIN_S = 30.0
"""So old they are read again though there are as many as before: one may have come as another went."""


class DeadJobsReader:
    """Reads the dead jobs again as their number changes, not more often than the server bears."""

    def __init__(self) -> None:
        self._known: Mapping[str, DeadJobs] = {}
        self._count = 0
        self._read_at_s = self._rests_until_s = -AGAIN_S

    def read(self, registry: Registry, count: int) -> Mapping[str, DeadJobs]:
        """Those of each sproc; there are `count` in all."""
        now_s = time.monotonic()
        if not count:
            self._count, self._known = 0, {}
        elif (count != self._count and now_s >= self._rests_until_s) or now_s - self._read_at_s >= AGAIN_S:
            self._known, self._count = count_dead(registry), count
            self._read_at_s = time.monotonic()
            self._rests_until_s = self._read_at_s + REST_FACTOR * (self._read_at_s - now_s)
        return self._known


def with_around(
    rows: tuple[Row, ...], around: Around, stats: Mapping[str, Stats], dead: Mapping[str, DeadJobs]
) -> tuple[Row, ...]:
    """The rows with all of it; missed times that somebody has acknowledged are left out."""
    found: dict[str, dict[str, Any]] = {}
    waiting = waiting_edits(around)
    for edit in around.sprocs.edits if around.sprocs else ():
        found[edit.name] = {
            "by": edit.edit.by.partition(" <")[0],
            "since_ms": int(edit.edit.at * 1000),
            "uncommitted": waiting.get(edit.name, ""),
        }
    for pause in around.paused:
        found.setdefault(pause.name, {}).update(by=pause.by, since_ms=pause.since_ms)
    for name, jobs in dead.items():
        found.setdefault(name, {}).update(dead=jobs.number, dead_error=jobs.error)
    for one in _missed(around):
        times = stats[one.name].missed if one.name in stats else 0
        found.setdefault(one.name, {}).update(missed=max(1, times), missed_ms=one.at_ms)
    return tuple(_with(row, found.get(row.name, {})) for row in rows)


class SlowSince:
    """Since when sprocs are slow, as long as somebody looks: Redis keeps no durations of the past."""

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}

    def look(self, rows: tuple[Row, ...], now_ms: int) -> tuple[Row, ...]:
        """The rows, with that."""
        slow = [row.name for row in rows if is_slow(row, now_ms)]
        if not slow and not self._since_ms:
            return rows
        self._since_ms = {name: self._since_ms.get(name, now_ms) for name in slow}
        found = ((row, self._since_ms.get(row.name, 0)) for row in rows)
        return tuple(row if row.slow_ms == since_ms else row._replace(slow_ms=since_ms) for row, since_ms in found)


_NOTHING: dict[str, Any] = {
    "by": "",
    "since_ms": 0,
    "dead": 0,
    "dead_error": "",
    "missed": 0,
    "missed_ms": 0,
    "uncommitted": "",
}


def _with(row: Row, found: dict[str, Any]) -> Row:
    if not found and not (row.by or row.since_ms or row.dead or row.missed):
        return row  # as nearly all are
    wanted = _NOTHING | found
    same = all(getattr(row, name) == value for name, value in wanted.items())
    return row if same else row._replace(**wanted)


def _missed(around: Around) -> Iterator[Missed]:
    after_ms = unknown_after_ms(around, FindingCode.MISSED)
    return (one for one in (around.sprocs.missed if around.sprocs else ()) if one.at_ms > after_ms)


def counts_of(around: Around) -> Counts:
    """How many of each there are."""
    running = around.running
    return Counts(
        silent=len(running.daemons) - len(running.alive),
        paused=len(around.paused),
        waiting=around.open_jobs,
        dead=around.dead_jobs,
        gaps=len(outages(gaps_of(around), (), 0, 0)),  # one for all sources
        missed=sum(1 for _ in _missed(around)),
        edits=len(around.sprocs.edits) if around.sprocs else 0,
    )
