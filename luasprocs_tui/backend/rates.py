"""From what Redis has counted to what the screen says: rates, percentiles, and the pulse of the whole."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import time_ms
from luasprocs.server.errors import is_missing_key
from luasprocs.state.daemons import merged_heartbeats, parse_heartbeats
from luasprocs.state.executions import parse_gaps
from luasprocs.state.stats import Stats
from luasprocs_tui.values.rows import NOTHING_COUNTED, Counters
from luasprocs_tui.values.snapshots import PULSES, Pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.state.daemons import DaemonInfo

DIGITS = 20
LEAST_S = 0.8
"""A rate of less time says nothing: the one before stays."""


class PulseCounter:
    """Makes a pulse of each look at the heartbeats and the records."""

    def __init__(self) -> None:
        self._reads: dict[str, int] = {}
        self._added: int | None = None
        self._at_ms = self._shards = 0
        self._per_s: deque[float] = deque(maxlen=PULSES)
        self._runs_per_s: float | None = None

    def look(self, each: Sequence[tuple[Any, Any, Any, Any]]) -> Pulse | None:
        """From each shard's replies of TIME, HGETALL, XREVRANGE and XINFO STREAM; None where there is no time."""
        if any(isinstance(now, Exception) for now, *_ in each):
            return None
        now_ms = time_ms(each[0][0])
        if len(each) != self._shards:  # what one has counted so far is no growth of now
            self._shards, self._at_ms = len(each), 0
        found = merged_heartbeats(
            (time_ms(now), () if isinstance(beats, Exception) else parse_heartbeats(beats)) for now, beats, *_ in each
        )
        alive = [one for one in found if one.alive(now_ms)]
        counts = [_added(stream) for *_, stream in each]
        added = None if None in counts else sum(filter(None, counts))
        self._count(alive, added, now_ms)
        return Pulse(
            now_ms=now_ms,
            at_s=time.monotonic(),
            daemons=len(alive),
            lag=sum(one.lag for one in alive),
            gaps=sum(not gap.kind for _, _, gaps, _ in each if isinstance(gaps, list) for gap in parse_gaps(gaps)),
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


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    counts: int
    counters: Counters
    stats: Stats


class StatsCounter:
    """Makes counters of each look at a sproc's stats."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def look(self, name: str, reply: Any) -> Counters:
        """From the hash, or from its counts alone: durations stay then. Of what is not a hash nothing was counted."""
        stats = Stats() if isinstance(reply, Exception) or not reply else Stats.parse(reply)
        now_s, before = time.monotonic(), self._seen.get(name)
        counts = stats.calls + stats.runs
        known = before.counters if before else NOTHING_COUNTED
        if isinstance(reply, Exception) or not reply:  # what it counts next is new
            self._seen[name] = _Seen(now_s, 0, NOTHING_COUNTED, stats)
            return NOTHING_COUNTED
        soon = before is not None and now_s - before.at_s < LEAST_S
        found = Counters(
            calls=_counted(reply, b"calls", stats.calls),
            runs=_counted(reply, b"runs", stats.runs),
            errors=_counted(reply, b"errors", stats.errors),
            per_s=known.per_s if soon else _growth(counts, before.counts) / (now_s - before.at_s) if before else None,
            last_run_s=stats.last_run_s,
            p50_us=stats.p50_us if stats.buckets else known.p50_us,
            p99_us=stats.p99_us if stats.buckets else known.p99_us,
            failing=stats.failing,
        )
        since = before if before and soon else _Seen(now_s, counts, found, stats)
        self._seen[name] = _Seen(since.at_s, since.counts, found, stats)
        return found

    @property
    def known(self) -> dict[str, Stats]:
        """What was looked at last, of each."""
        return {name: seen.stats for name, seen in self._seen.items()}

    def keep(self, names: Iterable[str]) -> None:
        """Forgets all others."""
        self._seen = {name: self._seen[name] for name in names if name in self._seen}


def _counted(reply: Mapping[bytes, bytes], field: bytes, count: int) -> int | None:
    return count if field in reply and reply[field].isdigit() and len(reply[field]) < DIGITS else None
