"""How late schedules start: by the server's clock, from the scheduled time to the sproc's own first command."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from redis import Redis

from bench.event_latency import percentile
from bench.events import daemons, live
from bench.pairs import Result
from bench.servers import kinds, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEDULES = 1000
SECONDS = 15
LIMIT_MS = 10.0
TOGETHER_LIMIT_MS = 30.0
"""Where all are due at one moment the last one waits for all others: 10 us each is what a run costs."""
LATENESS = """local now = redis.call('TIME')
redis.call('RPUSH', 'late', now[1] * 1000 + now[2] / 1000 - ARGV[1] * 1000)
"""
PERIODS_S = (1, 2, 3, 5, 7, 10, 11, 13)


def _late(kind: str, sources: Sequence[str]) -> list[float]:
    """Milliseconds from the scheduled time to the run, of each run of some seconds."""
    with running(kind) as server, Redis(port=server.port, protocol=2) as client:
        live(client, *sources)
        with daemons(server.port):
            time.sleep(3)
            client.delete("late")
            time.sleep(SECONDS)
            found = client.lrange("late", 0, -1)
        return [float(one) for one in found]


def results() -> Iterator[Result]:
    """Schedules of mixed periods, as people have them; and all of them due at the same second."""
    # Periods in milliseconds that are no multiples of each other's: some fifty are due in each 100 ms.
    mixed = [f"-- every={1000 + number * 7 % 9000}ms\n{LATENESS}" for number in range(SCHEDULES)]
    same = [f"-- cron=*/{PERIODS_S[number % 8]} * * * * *\n{LATENESS}" for number in range(SCHEDULES)]
    for kind in kinds():
        for what, sources, limit_ms in (
            ("mixed periods", mixed, LIMIT_MS),
            ("all on full seconds", same, TOGETHER_LIMIT_MS),
        ):
            late = _late(kind, sources)
            value = percentile(late, 0.99)
            pairs = ((statistics.median(late), value), (len(late), max(late)))
            name = f"cron: {SCHEDULES} schedules, {what}: lateness, p99, {kind} (ms; pairs: p50/p99, runs/max)"
            yield Result(name, pairs, value, limit_ms, at_least=False)
