"""Metrics for Prometheus: the daemon's state, and the registry's counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from redis.exceptions import RedisError, ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from luasprocs.contract.keys import Keys
    from sync.service.supervisor import Supervisor

_COUNTED = ("calls", "runs", "errors", "skipped", "missed", "duration_us_total")


class Metrics:
    """Reads the registry for each scrape, in a thread. A server that is down is a metric, not an error."""

    def __init__(self, url: str, keys: Keys, supervisor: Supervisor) -> None:
        self._keys, self._supervisor = keys, supervisor
        self._client = connect(url)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._own()
        try:
            found = list(self._of_registry())
        except RedisError:
            found = []
        yield GaugeMetricFamily("luasprocs_redis_up", "Whether the registry can be read.", value=bool(found))
        yield from found

    def _own(self) -> Iterator[Metric]:
        """Metrics of this daemon: its sync, its runs."""
        runtime, follower = self._supervisor.runtime, self._supervisor.follower
        if follower is not None:
            health = follower.health
            last = health.last
            yield CounterMetricFamily("luasprocs_syncs", "Syncs that changed the registry.", value=health.syncs)
            yield CounterMetricFamily(
                "luasprocs_look_failures", "Failed checks of git or Redis.", value=health.failures
            )
            yield CounterMetricFamily("luasprocs_fetches", "Fetches of the remote.", value=health.fetches)
            yield GaugeMetricFamily(
                "luasprocs_sync_seconds", "How long the last sync took.", value=health.last_ms / 1000
            )
            yield GaugeMetricFamily(
                "luasprocs_last_success_timestamp_seconds", "Time of the last successful check of git and Redis.",
                value=health.last_success,
            )  # fmt: skip
            if last is not None:
                state = GaugeMetricFamily("luasprocs_sync_state", "1 for the state that it is in.", labels=["state"])
                state.add_metric([str(last.state.state)], 1)
                yield state
                yield GaugeMetricFamily(
                    "luasprocs_drift", "Sprocs that were changed by hand.", value=len(last.state.drift)
                )
                problems = len(last.state.problems)
                yield GaugeMetricFamily("luasprocs_problems", "Problems of the commit that git wants.", value=problems)
        if runtime is not None:
            info = runtime.info()
            yield GaugeMetricFamily("luasprocs_lag", "Events read here and not yet run.", value=info["lag"])
            yield CounterMetricFamily("luasprocs_events_read", "Events read here.", value=info["read"])
            yield CounterMetricFamily("luasprocs_runs", "Events run by this daemon's dispatches.", value=info["runs"])
            yield GaugeMetricFamily("luasprocs_jobs_running", "Async runs under way here.", value=info["jobs"])

    def _of_registry(self) -> Iterator[Metric]:
        keys = self._keys
        pipe = self._client.pipeline(transaction=False)
        pipe.hmget(keys.revision, "commit", "branch", "generation")
        pipe.lrange(keys.list, 0, -1)
        for command, key in (("XLEN", keys.gaps), ("XLEN", keys.jobs), ("ZCARD", keys.delayed), ("XLEN", keys.dead)):
            pipe.execute_command(command, key)
        replies = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise reply
        revision, names, *counts = (None if isinstance(reply, Exception) else reply for reply in replies)
        commit, branch, generation = (text(part or b"") for part in revision or (b"", b"", b""))
        yield InfoMetricFamily("luasprocs_revision", "What is live.", value={"commit": commit, "branch": branch})
        yield GaugeMetricFamily("luasprocs_generation", "Counts applies.", value=int(generation or 0))
        yield GaugeMetricFamily("luasprocs_sprocs", "Live sprocs.", value=len(names or ()))
        gaps, jobs, delayed, dead = (count or 0 for count in counts)
        yield GaugeMetricFamily("luasprocs_gaps", "Gaps that are kept.", value=gaps)
        queue = GaugeMetricFamily("luasprocs_jobs", "Async runs by state.", labels=["state"])
        for state, count in (("open", jobs), ("delayed", delayed), ("dead", dead)):
            queue.add_metric([state], count)
        yield queue
        running = read_running(Registry(self._client, keys), 1)
        yield GaugeMetricFamily("luasprocs_daemons", "Daemons with a recent heartbeat.", value=len(running.alive))
        yield from self._of_sprocs(sorted(map(text, names or ())))

    def _of_sprocs(self, names: list[str]) -> Iterator[Metric]:
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(raw(self._keys.stats(name)), *_COUNTED)
        counted: list[Any] = pipe.execute(raise_on_error=False) if names else []
        executions = CounterMetricFamily(
            "luasprocs_executions", "By sproc and how they ended.", labels=["sproc", "status"]
        )
        seconds = CounterMetricFamily("luasprocs_execution_seconds", "Time that recorded runs took.", labels=["sproc"])
        for name, found in zip(names, counted, strict=True):
            if isinstance(found, Exception) or not any(found):
                continue
            calls, runs, errors, skipped, missed, total_us = (int(one or 0) for one in found)
            label = name.encode("utf-8", "replace").decode()
            for status, count in (
                *(("call", calls), ("ok", max(0, runs - errors)), ("error", errors)),
                *(("skipped", max(0, skipped - missed)), ("missed", missed)),
            ):
                if count:
                    executions.add_metric([label, status], count)
            seconds.add_metric([label], total_us / 1_000_000)
        yield executions
        yield seconds
