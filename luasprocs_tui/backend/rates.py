"""From what Redis has counted to what the screen says: rates, percentiles, and the pulse of the whole."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.server.errors import is_missing_key
from luasprocs.state.stats import Stats
from luasprocs_tui.values.rows import NOTHING_COUNTED, Counters
from luasprocs_tui.values.shares import Shares
from luasprocs_tui.values.snapshots import PULSES, Pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.state.daemons import DaemonInfo, Running
    from luasprocs_tui.values.rows import Row

DIGITS = 20
LEAST_S = 0.8
"""A rate of less time says nothing: the one before stays."""
ERRING_S = 60.0
"""So long after its last error a sproc is still said to fail now and then."""


class PulseCounter:
    """Makes a pulse of each look at the heartbeats and the records."""

    def __init__(self) -> None:
        self._reads: dict[str, int] = {}
        self._added: int | None = None
        self._at_ms = self._shards = 0
        self._per_s: deque[float] = deque(maxlen=PULSES)
        self._errors_per_s: deque[float] = deque(maxlen=PULSES)
        self._runs_per_s: float | None = None

    def errors(self, rows: Iterable[Row]) -> tuple[float, ...]:
        """Errors a second, the newest last: what each sproc had when it was last looked at."""
        self._errors_per_s.append(sum(row.counters.errors_per_s or 0.0 for row in rows))
        return tuple(self._errors_per_s)

    def look(self, running: Running, streams: Sequence[Any]) -> Pulse:
        """From the heartbeats, and each shard's reply of XINFO STREAM."""
        now_ms = running.now_ms
        if len(streams) != self._shards:  # what one has counted so far is no growth of now
            self._shards, self._at_ms = len(streams), 0
        alive = running.alive
        counts = [_added(stream) for stream in streams]
        added = None if None in counts else sum(filter(None, counts))
        self._count(alive, added, now_ms)
        return Pulse(
            now_ms=now_ms,
            at_s=time.monotonic(),
            daemons=len(alive),
            lag=sum(one.lag for one in alive),
            recorded=added,
            runs_per_s=self._runs_per_s,
            per_s=tuple(self._per_s),
        )

    def _count(self, alive: Sequence[DaemonInfo], added: int | None, now_ms: int) -> None:
        passed_s = (now_ms - self._at_ms) / 1000
        if 0 <= passed_s < LEAST_S:
            return
        reads = {one.id: one.read for one in alive}
        if self._at_ms and passed_s > 0:
            # Each event is read by every daemon.
            grown = [_growth(count, self._reads[name]) for name, count in reads.items() if name in self._reads]
            self._per_s.append(max(grown, default=0) / passed_s)
            known = added is not None and self._added is not None
            self._runs_per_s = _growth(added or 0, self._added or 0) / passed_s if known else None
        self._reads, self._added, self._at_ms = reads, added, now_ms


def _added(stream: Any) -> int | None:
    """Records that were ever added; none where there is no stream yet, None where it can't be read."""
    if is_missing_key(stream):
        return 0
    return stream.get("entries-added") if isinstance(stream, dict) else None


def _growth(now: int, before: int) -> int:
    return max(0, now - before)


class _Seen(NamedTuple):
    """A look at a sproc. `at_s`: when, of the monotonic clock, and `erred_s`: when errors had last come; -inf for never."""

    at_s: float
    stats: Stats
    counters: Counters = NOTHING_COUNTED
    erred_s: float = -math.inf


class StatsCounter:
    """Makes counters of each look at a sproc's stats."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._latest: dict[str, Stats] = {}
        self._replies: dict[str, Any] = {}
        self._shares = Shares()

    def look(self, name: str, reply: Any, threads: int = 1) -> Counters:
        """From the hash, or from its counts alone: the histogram stays then. Of what is not a hash nothing was counted.

        `threads`: how many servers run it; 0 for one that runs in workers.
        """
        now_s, before = time.monotonic(), self._seen.get(name)
        if isinstance(reply, Exception) or not reply:  # what it counts next is new
            self._latest[name] = Stats()
            self._replies.pop(name, None)
            self._seen[name] = _Seen(now_s, Stats())
            return NOTHING_COUNTED
        if self._replies.get(name) != reply:  # most are quiet; to parse them all took more than half of a look
            self._replies[name], self._latest[name] = reply, Stats.parse(reply)
        stats = self._latest[name]
        soon = before is not None and now_s - before.at_s < LEAST_S
        since = _Rates() if before is None else _rates(before, stats, now_s)
        known = before.counters if before else NOTHING_COUNTED
        rates = _Rates(known.per_s, known.errors_per_s) if soon else since
        erred_s = now_s if since.errors_per_s else before.erred_s if before else -math.inf
        found = Counters(
            calls=_counted(reply, b"calls", stats.calls),
            runs=_counted(reply, b"runs", stats.runs),
            errors=stats.all_errors or _counted(reply, b"errors", 0),
            last_run_s=stats.last_run_s,
            p50_us=stats.p50_us if stats.buckets else known.p50_us,
            p99_us=stats.p99_us if stats.buckets else known.p99_us,
            failing=stats.failing,
            erring=now_s - erred_s < ERRING_S,
            last_error=stats.last_error,
            **rates._asdict(),
            share=self._shares.look(name, stats, now_s, threads) if threads else None,
        )
        since_s, base = (before.at_s, before.stats) if before and soon else (now_s, stats)
        self._seen[name] = _Seen(since_s, base, found, erred_s)
        return found

    @property
    def known(self) -> dict[str, Stats]:
        """What was looked at last, of each."""
        return self._latest

    def keep(self, names: Iterable[str]) -> None:
        """Forgets all others."""
        kept = list(names)
        self._seen = {name: self._seen[name] for name in kept if name in self._seen}
        self._shares.keep(kept)
        self._latest = {name: self._latest[name] for name in self._seen}
        self._replies = {name: self._replies[name] for name in self._seen if name in self._replies}


class _Rates(NamedTuple):
    per_s: float | None = None
    errors_per_s: float | None = None


def _rates(before: _Seen, now: Stats, now_s: float) -> _Rates:
    passed_s, then = now_s - before.at_s, before.stats
    if passed_s <= 0:
        return _Rates()
    return _Rates(
        _growth(now.calls + now.runs, then.calls + then.runs) / passed_s,
        _growth(now.all_errors, then.all_errors) / passed_s,
    )


def _counted(reply: Mapping[bytes, bytes], field: bytes, count: int) -> int | None:
    return count if field in reply and reply[field].isdigit() and len(reply[field]) < DIGITS else None
