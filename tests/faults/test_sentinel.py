"""Sentinel's failovers, in order, by kill -9 and by SIGSTOP, while events, schedules and jobs run: against a ledger."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from tests.background import Background
from tests.daemons import DaemonProcess
from tests.faults import test_schedules as schedules
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps
from tests.live import put, sproc
from tests.sentinels import Sentinels
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    import redis as redis_py

    from tests.faults.ledger import Written

KEYS = Keys()
PROBE = "ev:probe:"
ROUNDS = 5 if SOAK else 1
JOB = "-- runasync=yes\n-- retries=20\n-- backoff=200ms\nredis.call('HINCRBY', 'done', ARGV[1], 1)\n"

pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 120)]


class Clients(Writers):
    """Writers that find the master by Sentinel, as an application does."""

    def __init__(self, url: str, count: int, rate: int) -> None:
        self._url = url
        super().__init__(None, count, rate)  # type: ignore[arg-type]

    def more_than(self, count: int) -> bool:
        return self.count > count

    def _client(self) -> redis.Redis:
        return connect(self._url, socket_timeout=2)


class Asking(Background):
    """Enqueues jobs, each with a key of its own in one MULTI. `asked`: those that the server said it had."""

    def __init__(self, url: str) -> None:
        self.asked: list[str] = []
        self._url = url
        super().__init__(self._ask)

    def _ask(self, _: int) -> None:
        client, number = connect(self._url, socket_timeout=2), 0
        while not self.stopping.wait(0.02):
            number += 1
            pipe = client.pipeline()
            pipe.set(f"asked:{number}", 1)
            pipe.execute_command("FCALL", KEYS.function("enqueue"), 0, "job.lua", "-", 1, number)
            try:
                pipe.execute()
            except redis.RedisError:
                continue
            self.asked.append(str(number))


def kept(client: redis_py.Redis, ledger: list[Written]) -> list[Written]:
    """Of what was acknowledged, what the failover has left: replication is asynchronous, and nobody hears what Redis lost."""
    pipe = client.pipeline(transaction=False)
    for entry in ledger:
        pipe.exists(entry.key)
    return [entry for entry, there in zip(ledger, pipe.execute(), strict=True) if there or not entry.sure]


def undone(client: redis_py.Redis) -> list[str]:
    """Of the jobs that the master has heard of, those that have not run."""
    done = client.hgetall("done")
    return [key[6:] for key in client.scan_iter("asked:*", count=1000) if key[6:] not in done]


def recovers(sentinels: Sentinels) -> None:
    """Waits until an event runs on the master that is named now; those before may lie in the gap."""
    client = sentinels.client()

    def runs() -> bool:
        client.set(f"{PROBE}{time.monotonic_ns()}", 1)
        return any(key.startswith(PROBE) for key in fired(client))

    client.hdel("fired", *[key for key in fired(client) if key.startswith(PROBE)], "none")
    until(runs)


@pytest.mark.parametrize("how", ["order", "kill", "stop"])
def test_a_failover_under_events_schedules_and_jobs(sentinels, how):
    client = sentinels.client()
    client.flushall()
    put(client, sproc("counter.lua", COUNTER), sproc("s.lua", schedules.EVERY), sproc("job.lua", JOB))
    client.wait(2, 5000)
    pair = [DaemonProcess(sentinels.url).start() for _ in range(2)]
    try:
        with (writers := Clients(sentinels.url, 2, rate=300)), Asking(sentinels.url) as asking:
            until(lambda: schedules.ran(client, "s.lua") and client.hlen("done"))
            for _ in range(ROUNDS):
                old = getattr(sentinels, how)()
                recovers(sentinels)
                before = writers.count
                until(partial(writers.more_than, before + 100))
                if how == "kill":
                    sentinels.revive(old)
                elif how == "stop":
                    os.kill(old.pid, signal.SIGCONT)
                sentinels.until_whole()
                recovers(sentinels)
        recovers(sentinels)  # what was written before has run, or never will
        client = sentinels.client()
        ran = fired(client)
        schedules.reaches(client, "s.lua", client.time()[0] + 1)
        until(
            lambda: not undone(client), what=lambda: (undone(client), read_jobs(Registry(client, KEYS)), pair[0].output)
        )
        until(lambda: not client.exists(KEYS.unrecorded))
    finally:
        for daemon in pair:
            daemon.kill()
    left = kept(client, writers.ledger)
    assert len(left) > 100
    check(left, {key: times for key, times in ran.items() if not key.startswith(PROBE)}, gaps(client))
    schedules.check(client, "s.lua")
    assert asking.asked
