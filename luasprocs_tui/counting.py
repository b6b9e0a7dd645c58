"""From what Redis has counted to what the screen says: rates, percentiles, and the pulse of the whole."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luasprocs.daemons import parse_heartbeats, time_ms
from luasprocs.stats import Stats
from luasprocs_tui.rows import FAILING_S, NOTHING_COUNTED, Counters
from luasprocs_tui.snapshots import PULSES, Pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.daemons import DaemonInfo

DIGITS = 20


class PulseCounter:
    """Makes a pulse of each look at the heartbeats."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, int]] = {}
        self._at_ms = 0
        self._per_s: deque[float] = deque(maxlen=PULSES)

    def look(self, now: Any, beats: Any, gaps: Any) -> Pulse | None:
        """From the replies of TIME, HGETALL and XLEN; None where there is no time."""
        if isinstance(now, Exception):
            return None
        now_ms = time_ms(now)
        found = () if isinstance(beats, Exception) else parse_heartbeats(beats)
        alive = [one for one in found if one.alive(now_ms)]
        reads, runs = self._rates(alive, now_ms)
        return Pulse(
            now_ms=now_ms,
            at_s=time.monotonic(),
            daemons=len(alive),
            lag=sum(one.lag for one in alive),
            gaps=gaps if isinstance(gaps, int) else 0,
            runs_per_s=runs,
            per_s=reads,
        )

    def _rates(self, alive: Sequence[DaemonInfo], now_ms: int) -> tuple[tuple[float, ...], float]:
        passed_s = (now_ms - self._at_ms) / 1000 if self._at_ms else 0.0
        before, self._before = self._before, {one.id: (one.read, one.runs) for one in alive}
        self._at_ms = now_ms
        if passed_s <= 0:
            return tuple(self._per_s), 0.0
        grown = [tuple(map(_growth, now, before.get(name, now))) for name, now in self._before.items()]
        # Each event is read by every daemon, and run by one.
        self._per_s.append(max((reads for reads, _ in grown), default=0) / passed_s)
        return tuple(self._per_s), sum(runs for _, runs in grown) / passed_s


def _growth(now: int, before: int) -> int:
    return max(0, now - before)


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    counts: int
    counters: Counters
    failed_at_s: float


class StatsCounter:
    """Makes counters of each look at a sproc's stats."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def look(self, name: str, reply: Any) -> Counters:
        """From the hash, or from its counts alone: durations stay then. Of what is no hash nothing was counted."""
        if isinstance(reply, Exception) or not reply:
            return NOTHING_COUNTED
        stats, now_s, before = Stats.parse(reply), time.monotonic(), self._seen.get(name)
        counts, failed_at_s = stats.calls + stats.runs, -FAILING_S
        known = before.counters if before else NOTHING_COUNTED
        if before:
            failed_at_s = now_s if stats.errors > (known.errors or 0) else before.failed_at_s
        found = Counters(
            calls=_counted(reply, b"calls", stats.calls),
            runs=_counted(reply, b"runs", stats.runs),
            errors=_counted(reply, b"errors", stats.errors),
            per_s=_growth(counts, before.counts) / (now_s - before.at_s) if before and now_s > before.at_s else None,
            last_run_s=stats.last_run_s,
            p50_us=stats.p50_us if stats.buckets else known.p50_us,
            p99_us=stats.p99_us if stats.buckets else known.p99_us,
            failing=now_s - failed_at_s < FAILING_S,
        )
        self._seen[name] = _Seen(now_s, counts, found, failed_at_s)
        return found

    def keep(self, names: Iterable[str]) -> None:
        """Forgets all others."""
        self._seen = {name: self._seen[name] for name in names if name in self._seen}


def _counted(reply: Mapping[bytes, bytes], field: bytes, count: int) -> int | None:
    return count if field in reply and reply[field].isdigit() and len(reply[field]) < DIGITS else None
