"""All faults at once, and a ledger: what is lost lies in a gap, nothing runs twice, jobs and times neither.

Daemons are killed, stopped for longer than their lease and resumed, their connections cut, Redis is killed, sprocs are synced and
rolled back beside.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import LEASE_MS
from luasprocs.operations.rollback import rollback
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps, settled
from tests.live import put, sproc
from tests.proxy import Proxy
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server

EVENTS, SECONDS = (300_000, 600) if SOAK else (6000, 20)
KEYS = Keys()
pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(2400 if SOAK else 240)]
SPROCS = (
    sproc("counter.lua", COUNTER),
    sproc(
        "job.lua",
        "-- runasync=yes\n-- overlap=allow\n-- retries=5\n-- backoff=50ms\nredis.call('HINCRBY', 'ran', ARGV[1], 1)\n",
    ),
    sproc("cron.lua", "-- every=1s\n-- misfire=skip\nredis.call('HINCRBY', 'times', ARGV[1], 1)\n"),
)


class Faults:
    """Two daemons, one of them behind a proxy, and what befalls them."""

    def __init__(self, server: Server, proxy: Proxy, folder: Path) -> None:
        self.server, self.proxy, self.chance = server, proxy, random.Random(14)
        environ = {"LUASPROCS_WORKERS": "1"}
        self.daemons = [DaemonProcess(url, cwd=folder, environ=environ).start() for url in (server.url, proxy.url)]
        self.count, self.said = 0, ""
        self.killed = self.server_kills = 0

    @property
    def client(self) -> Redis:
        return self.server.client(socket_timeout=20)

    def next(self) -> None:
        kinds = (self.kill, self.stop, self.cut, self.sync, self.kill_redis)
        kinds[self.count % len(kinds)]()
        self.count += 1

    def kill(self) -> None:
        one = self.chance.choice(self.daemons)
        self.said += one.output
        one.kill()
        one.start()
        self.killed += 1

    def stop(self) -> None:
        one = self.chance.choice(self.daemons)
        os.kill(one.pid, signal.SIGSTOP)
        time.sleep(LEASE_MS / 1000 + 1)
        os.kill(one.pid, signal.SIGCONT)

    def cut(self) -> None:
        words = ("take", "finish", "dispatch", "beat", "tick", "effect")
        self.proxy.cut_command(KEYS.function(self.chance.choice(words)).encode(), after=self.chance.random() < 0.5)
        self.proxy.command_cut.wait(3)

    def sync(self) -> None:
        put(self.client, *SPROCS, sproc("other.lua", f"return {self.count}"))
        if self.count % 2:
            rollback(Registry(self.client, KEYS), by="tests")

    def kill_redis(self) -> None:
        self.server.kill()
        self.server.restart()
        until(self.client.ping)
        self.server_kills += 1

    def end(self) -> str:
        for one in self.daemons:
            self.said += one.output
            one.kill()
        return self.said


def test_all_faults_at_once(own_server, tmp_path):
    own = own_server("--appendonly", "yes", "--appendfsync", "always", persistent=True)
    put(own.client(), *SPROCS)
    jobs = 0
    with Proxy(own.port) as proxy:
        faults = Faults(own, proxy, tmp_path)
        try:
            with Writers(own, 4, rate=EVENTS // SECONDS // 4) as writers:
                began_s = time.monotonic()
                while time.monotonic() - began_s < SECONDS or faults.count < 5:
                    for _ in range(20):
                        faults.client.execute_command("FCALL", KEYS.function("enqueue"), 0, "job.lua", "-", 1, jobs)
                        jobs += 1
                    faults.next()
            client = faults.client
            settled(client, writers.count)
            until(lambda: not client.xlen(KEYS.jobs) and not client.exists(KEYS.delayed, KEYS.running), 120)
        finally:
            said = faults.end()
    assert "Traceback" not in said
    lost = check(writers.ledger, fired(client), gaps(client))
    assert len(lost) < len(writers.ledger)
    dead = {int(job.args[0]) for job in read_jobs(Registry(client, KEYS)) if job.state == "dead"}
    done: Any = client.hgetall("ran")
    assert {int(number) for number in done} | dead == set(range(jobs))
    again = sum(int(times) - 1 for times in done.values())
    assert again <= 4 * (faults.killed + faults.server_kills + faults.count), again
    times: Any = client.hgetall("times")
    assert set(times.values()) == {b"1"}
