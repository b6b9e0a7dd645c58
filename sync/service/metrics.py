"""Metrics for Prometheus: counters of this daemon's own, and gauges of the registry, the same from every daemon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from luasprocs.contract.codes import DesiredState, FindingCode
from luasprocs.contract.limits import BUCKETS_US
from luasprocs.operations.terminal import in_a_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from luasprocs.operations.snapshot import Snapshot
    from luasprocs.state.stats import Stats
    from sync.service.follower import Follower
    from sync.service.observer import Observer, Seen
    from sync.service.supervisor import Supervisor

US_A_S = 1_000_000


class Metrics:
    """From what is known: nothing here waits for anybody."""

    def __init__(self, observer: Observer, supervisor: Supervisor) -> None:
        self._observer, self._supervisor = observer, supervisor
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        up, seen = self._observer.up, self._observer.seen
        yield GaugeMetricFamily("luasprocs_redis_up", "Whether Redis answers.", value=up)
        found = {one.code for one in self._observer.found}
        finding = GaugeMetricFamily("luasprocs_finding", "1 for what is wrong, by code.", labels=["code"])
        for code in FindingCode:
            finding.add_metric([code.value], code in found)
        yield finding
        if self._supervisor.follower is not None:
            yield from _of_sync(self._supervisor.follower, up=up)
        yield from self._of_runtime()
        if seen.at_s:
            age_s = max(0.0, time.time() - seen.at_s)
            yield GaugeMetricFamily("luasprocs_registry_age_seconds", "How old luasprocs_registry_* is.", value=age_s)
            yield from _of_registry(seen.snapshot)
            yield from _of_sprocs(seen)

    def _of_runtime(self) -> Iterator[Metric]:
        if (runtime := self._supervisor.runtime) is None:
            return
        info = runtime.info()
        yield GaugeMetricFamily("luasprocs_lag", "Events read here and not yet run.", value=info["lag"])
        yield CounterMetricFamily("luasprocs_events_read", "Events read here.", value=info["read"])
        yield CounterMetricFamily("luasprocs_runs", "Events run by this daemon's dispatches.", value=info["runs"])
        yield CounterMetricFamily(
            "luasprocs_repeated",
            "Events that may have run twice, as slots migrated to their shard.",
            value=info["repeated"],
        )
        yield CounterMetricFamily("luasprocs_schedule_runs", "Scheduled runs of this daemon.", value=info["ticks"])
        yield CounterMetricFamily("luasprocs_jobs_done", "Async runs that ended here.", value=info["jobs_done"])
        yield GaugeMetricFamily("luasprocs_jobs_running", "Async runs under way here.", value=info["jobs"])


def _of_sync(follower: Follower, *, up: bool) -> Iterator[Metric]:
    health = follower.health
    yield CounterMetricFamily("luasprocs_syncs", "Syncs that changed the registry.", value=health.syncs)
    yield CounterMetricFamily("luasprocs_heals", "Syncs that repaired changes made by hand.", value=health.heals)
    yield CounterMetricFamily("luasprocs_look_failures", "Failed checks of git or Redis.", value=health.failures)
    yield CounterMetricFamily("luasprocs_fetches", "Fetches of the remote.", value=health.fetches)
    yield GaugeMetricFamily("luasprocs_sync_seconds", "How long the last sync took.", value=health.last_ms / 1000)
    yield GaugeMetricFamily(
        "luasprocs_last_success_timestamp_seconds", "Time of the last successful check of git and Redis.",
        value=health.last_success,
    )  # fmt: skip
    if (last := health.last) is not None:
        state = GaugeMetricFamily("luasprocs_sync_state", "The sync state: 1 for the current one.", labels=["state"])
        state.add_metric([str(last.state.state) if up else DesiredState.UNREACHABLE.value], 1)
        yield state
        yield GaugeMetricFamily("luasprocs_drift", "Sprocs that were changed by hand.", value=len(last.state.drift))
        problems = len(last.state.problems)
        yield GaugeMetricFamily("luasprocs_problems", "Problems of the commit that git wants.", value=problems)


def _of_registry(snapshot: Snapshot) -> Iterator[Metric]:
    if (live := snapshot.live) is None:
        return
    revision: dict[str, str] = {"commit": in_a_line(live.revision.commit), "branch": in_a_line(live.revision.branch)}
    yield InfoMetricFamily("luasprocs_registry_revision", "What is live.", value=revision)
    ignored = sum(daemon.ignored for daemon in snapshot.running.alive)
    for name, says, value in (
        ("generation", "Counts applies.", live.revision.generation),
        ("sprocs", "Live sprocs.", len(live.sprocs)),
        ("daemons", "Daemons with a recent heartbeat.", len(snapshot.running.alive)),
        ("gaps", "Gaps that are kept, 100 at most.", sum(not gap.kind for gap in snapshot.running.gaps)),
        (
            "messages_ignored",
            "Messages that did not come from the engine, since each living daemon connected.",
            ignored,
        ),
    ):
        yield GaugeMetricFamily(f"luasprocs_registry_{name}", says, value=value)
    queue = GaugeMetricFamily("luasprocs_registry_jobs", "Async runs by state.", labels=["state"])
    counts = (("open", snapshot.open_jobs), ("delayed", snapshot.delayed_jobs), ("dead", snapshot.dead_jobs))
    for state, count in counts:
        queue.add_metric([state], count)
    yield queue


def _of_sprocs(seen: Seen) -> Iterator[Metric]:
    """What all daemons and callers have done: gauges, as each daemon says the same."""
    executions = GaugeMetricFamily(
        "luasprocs_registry_executions", "Runs and calls by sproc and how they ended.", labels=["sproc", "status"]
    )
    seconds = HistogramMetricFamily(
        "luasprocs_registry_execution_seconds", "How long recorded runs took.", labels=["sproc"]
    )
    for name, stats in sorted(seen.stats.items()):
        label = in_a_line(name)
        for status, count in (
            *(("call", stats.calls - stats.call_errors), ("call_error", stats.call_errors)),
            *(("ok", stats.runs - stats.errors), ("error", stats.errors)),
            *(("skipped", stats.skipped - stats.missed), ("missed", stats.missed)),
        ):
            if count > 0:
                executions.add_metric([label, status], count)
        if stats.runs:
            seconds.add_metric([label], _buckets(stats), stats.duration_us_total / US_A_S)
    yield executions
    yield seconds


def _buckets(stats: Stats) -> list[tuple[str, float]]:
    """Cumulative, each bound in seconds."""
    counted, total, found = dict(stats.buckets), 0, list[tuple[str, float]]()
    for bound in (*BUCKETS_US, None):
        total += counted.get(bound, 0)
        found.append(("+Inf" if bound is None else str(bound / US_A_S), total))
    return found
