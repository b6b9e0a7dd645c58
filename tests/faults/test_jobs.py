"""Async runs under faults: workers and daemons killed at random, hostile jobs, restarts; none vanishes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.pause import pause, resume
from luasprocs.runtime.daemon import Daemon
from luasprocs.runtime.pool import DEPTH
from luasprocs.runtime.workers import WorkerRules
from luasprocs.runtime.workload import SHORT_US
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from redis import Redis

JOBS = 20_000 if SOAK else 2000
KEYS = Keys()
WORK = "-- runasync=yes\n-- overlap=allow\n-- retries=2\n-- backoff=20ms\nredis.call('HINCRBY', 'ran', ARGV[1], 1)\n"
COUNT = "-- runasync=yes\n-- overlap=allow\nredis.call('INCR', 'good')\n"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 150)]


def enqueue(client: Redis, name: str, *args: Any) -> Any:
    return client.execute_command("FCALL", KEYS.function("enqueue"), 0, name, "-", 1, *args)


def workers_of(daemon: DaemonProcess) -> list[int]:
    """The process ids of a daemon's children."""
    found = Path(f"/proc/{daemon.pid}/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text(encoding="ascii").split()]


def settle(client: Redis, timeout_s: float) -> None:
    """Waits until nothing runs or waits."""
    until(lambda: client.xlen(KEYS.jobs) == client.exists(KEYS.delayed, KEYS.running) == 0, timeout_s)


def tried(client: Redis, times: int) -> None:
    """Waits until it has begun so often, or is dead."""
    until(lambda: client.xlen(KEYS.dead) or int(client.get("tries") or 0) >= times)


def runs(client: Redis) -> int:
    return sum(job.state == "running" for job in read_jobs(Registry(client, KEYS)))


def test_workers_and_daemons_killed_at_random(server, tmp_path):
    client = server.client()
    put(client, sproc("work.lua", WORK))
    chance = random.Random(7)
    daemons = [DaemonProcess(server.url, cwd=tmp_path).start() for _ in range(2)]
    kills = 0
    try:
        for number in range(JOBS):
            enqueue(client, "work.lua", number)
            if number % (JOBS // 12) == JOBS // 12 - 1:
                daemon = daemons[kills % 2]
                pids = workers_of(daemon)
                if kills % 3 == 2 or not pids:
                    daemon.kill()
                    daemon.spawn()
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(pids), signal.SIGKILL)
                kills += 1
        settle(client, 90)
    finally:
        for daemon in daemons:
            daemon.kill()
    assert kills >= 10
    found: Any = client.hgetall("ran")
    done = {int(number) for number in found}
    dead = {int(job.args[0]) for job in read_jobs(Registry(client, KEYS)) if job.state == "dead"}
    assert done | dead == set(range(JOBS))
    assert len(dead) <= kills
    records = read_executions(Registry(client, KEYS), None)
    assert sum(one.status == "ok" for one in records) >= min(JOBS - len(dead), 10_000)  # so many are kept


def test_a_job_that_kills_its_worker_is_dead_after_its_retries(server, tmp_path):
    client = server.client()
    suicide = "-- runasync=yes\n-- retries=2\n-- backoff=20ms\nredis.call('INCR', 'tries')\nwhile true do end\n"
    put(client, sproc("suicide.lua", suicide), sproc("good.lua", COUNT))
    with DaemonProcess(server.url, cwd=tmp_path) as daemon:
        enqueue(client, "suicide.lua")
        for turn in range(1, 4):
            tried(client, turn)
            busy = until(lambda: [pid for pid in workers_of(daemon) if cpu(pid) > 2])
            os.kill(busy[0], signal.SIGKILL)
        [job] = until(lambda: [one for one in read_jobs(Registry(client, KEYS)) if one.state == "dead"])
        assert job.attempt == 3
        enqueue(client, "good.lua")
        until(lambda: client.get("good"))
    assert client.get("tries") == b"3"
    assert not client.exists(KEYS.running)


def cpu(pid: int) -> int:
    """Clock ticks that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def test_a_job_whose_daemons_die_each_time_is_dead_in_the_end(server, tmp_path):
    client = server.client()
    put(client, sproc("slow.lua", "-- runasync=yes\nredis.call('INCR', 'tries')\nwhile true do end\n"))
    enqueue(client, "slow.lua")
    turn = 0
    while not (dead := [one for one in read_jobs(Registry(client, KEYS)) if one.state == "dead"]):
        with DaemonProcess(server.url, cwd=tmp_path):
            turn += 1
            tried(client, turn)
        assert turn <= 6
    assert "daemons died while it ran" in dead[0].error
    assert client.xlen(KEYS.jobs) == 0


HOSTILE = {
    "endless.lua": ("-- timeout=300ms\nwhile true do end", "timeout", "timeout"),
    "eats.lua": (
        "-- memory=16MB\nlocal t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "error",
        "memory",
    ),
    "forks.lua": ("os.execute('sleep 1')", "denied", "os.execute"),
    "opens.lua": (
        "local t = {} for i = 1, 10000 do t[i] = assert(io.open('f' .. i, 'w')) end",
        "denied",
        "Too many open files",
    ),
    "reads.lua": ("return assert(io.open('/etc/passwd')):read('*a')", "denied", "/etc/passwd"),
    "environ.lua": ("return assert(io.open('/proc/self/environ')):read('*a')", "denied", "/proc/self/environ"),
    "writes.lua": ("assert(io.open('/tmp/luasprocs-escaped', 'w'))", "denied", "/tmp/luasprocs-escaped"),
    "prints.lua": ("-- timeout=500ms\nwhile true do print(string.rep('x', 1000)) end", "timeout", "timeout"),
    "big.lua": ("return string.rep('x', 100 * 1024 * 1024)", "error", "memory"),
    "userdata.lua": ("error(io.stdout)", "error", "userdata"),
}


def test_hostile_jobs_are_contained_and_recorded(server, tmp_path):
    client = server.client()
    sprocs = [sproc(name, f"-- runasync=yes\n{source}\n") for name, (source, *_) in HOSTILE.items()]
    put(client, *sprocs, sproc("good.lua", COUNT))
    secret = {"LUASPROCS_SECRET": "hidden", "LUASPROCS_WORKERS": "2"}
    with DaemonProcess(server.url, cwd=tmp_path, environ=secret, forked=False) as daemon:
        enqueue(client, "good.lua")
        until(lambda: client.get("good"))
        for name in HOSTILE:
            enqueue(client, name)
        for _ in range(50):
            enqueue(client, "good.lua")
        until(lambda: client.get("good") == b"51")
        until(lambda: client.xlen(KEYS.jobs) == 0)
        assert daemon.running
        assert "Traceback" not in daemon.output
    ended = {one.sproc: one for one in read_executions(Registry(client, KEYS), None) if one.sproc in HOSTILE}
    for name, (_, status, said) in HOSTILE.items():
        assert (ended[name].status, said in ended[name].error) == (status, True), ended[name]
    assert all("hidden" not in one.reply for one in ended.values())
    assert not Path("/tmp/luasprocs-escaped").exists()


async def test_a_run_that_a_stop_has_cut_off_is_no_try(server, tmp_path, monkeypatch):
    monkeypatch.setattr("luasprocs.runtime.shard.STOP_TIMEOUT_S", 0.2)
    client = server.client()
    put(client, sproc("slow.lua", "-- runasync=yes\nredis.call('INCR', 'tries')\nwhile true do end\n"))
    enqueue(client, "slow.lua")
    for turn in (1, 2):
        daemon = Daemon(server.url, KEYS, workers=WorkerRules(count=1, folder=tmp_path))
        running = asyncio.create_task(daemon.run())
        await asyncio.to_thread(tried, client, turn)
        daemon.stop()
        await running
        [job] = read_jobs(Registry(client, KEYS))
        assert (job.state, job.attempt) == ("queued", 1)
    assert client.xpending(KEYS.jobs, "workers")["pending"] == 0


def test_daemons_that_are_stopped_run_no_job_twice(server, tmp_path):
    """What was taken and not begun is left to others; what ended is told before the good-bye."""
    client = server.client()
    put(client, sproc("work.lua", WORK))
    for number in range(JOBS):
        enqueue(client, "work.lua", number)
    for turn in range(1, 5):
        daemon = DaemonProcess(server.url, cwd=tmp_path).start()
        until(lambda: client.hlen("ran") > turn * JOBS // 6)  # noqa: B023  # called at once
        daemon.process.terminate()
        assert daemon.wait() == 0
    with DaemonProcess(server.url, cwd=tmp_path):
        settle(client, 90)
    found: Any = client.hgetall("ran")
    assert found == {b"%d" % number: b"1" for number in range(JOBS)}
    records = read_executions(Registry(client, KEYS), None)
    assert sum(one.status == "ok" for one in records) >= min(JOBS, 10_000)  # so many are kept


def test_a_job_that_was_taken_ahead_runs_what_is_live_when_it_begins(server, tmp_path):
    client = server.client()
    head = "-- runasync=yes\n-- overlap=allow\n"
    waits = head + "while redis.call('EXISTS', 'hold') == 1 do end\nredis.call('RPUSH', 'ran', '{}')\n"
    put(client, sproc("a.lua", waits.format("old")))
    with DaemonProcess(server.url, cwd=tmp_path, environ={"LUASPROCS_WORKERS": "1"}) as daemon:

        def was_short() -> bool:
            enqueue(client, "a.lua")
            until(lambda: not client.xlen(KEYS.jobs))
            [(_, record)] = client.xrevrange(KEYS.executions, count=1)
            return int(record[b"duration_us"]) < SHORT_US

        until(was_short)  # afterwards they are taken ahead
        before = client.llen("ran")
        client.set("hold", "1")
        for _ in range(12):
            enqueue(client, "a.lua")
        until(lambda: runs(client) == 12)
        put(client, sproc("a.lua", waits.format("new")))
        daemon.until("generation 2")
        client.delete("hold")
        until(lambda: client.llen("ran") == before + 12)
    found: Any = client.lrange("ran", before, -1)
    assert found.count(b"new") >= 12 - DEPTH, found


def test_pause_stop_and_restart(own_server, tmp_path):
    own = own_server(persistent=True)
    client = own.client()
    slow = (
        "-- runasync=yes\nlocal t = os.time() + 60\nwhile redis.call('EXISTS', 'go') == 0 and os.time() < t do end\n"
        "redis.call('RPUSH', 'slow', ARGV[1])\n"
    )
    put(client, sproc("good.lua", COUNT), sproc("slow.lua", slow))
    daemon = DaemonProcess(own.url, cwd=tmp_path)
    with daemon:
        pause(Registry(client, KEYS), ["good.lua"], by="ann")
        enqueue(client, "good.lua")
        time.sleep(0.5)
        assert client.get("good") is None
        resume(Registry(client, KEYS), ["good.lua"])
        until(lambda: client.get("good") == b"1" and not client.xlen(KEYS.jobs))
        enqueue(client, "slow.lua", 1)
        until(lambda: runs(client))
        daemon.process.terminate()
        daemon.until("stopping")
        time.sleep(0.3)  # two at once are one wish
        daemon.process.terminate()
        daemon.until("waiting for slow.lua")
        client.set("go", "1")
        assert daemon.wait() == 0  # what runs ends, however often it is told to end
        assert client.lrange("slow", 0, -1) == [b"1"]
        assert client.xlen(KEYS.jobs) == 0
    enqueue(client, "slow.lua", 2)
    own.restart()
    client = own.client()
    with daemon:
        until(lambda: client.lrange("slow", 0, -1) == [b"1", b"2"] and not client.xlen(KEYS.jobs))
        client.delete("go")
        enqueue(client, "slow.lua", 3)
        until(lambda: runs(client))
        daemon.process.terminate()
        daemon.until("stopping")
        daemon.process.send_signal(signal.SIGQUIT)
        assert daemon.wait() == 130
    client.set("go", "1")
    with daemon:
        until(lambda: own.client().lrange("slow", 0, -1) == [b"1", b"2", b"3"])


def test_jobs_wait_for_an_engine_that_was_flushed(server, tmp_path):
    client = server.client()
    long = (
        "-- runasync=yes\n-- overlap=allow\nfor i = 1, 200 do sproc.call('called.lua', {}, {ARGV[1]}) end\n"
        "redis.call('HINCRBY', 'ran', ARGV[1], 1)\n"
    )
    put(client, sproc("long.lua", long), sproc("called.lua", "redis.call('HINCRBY', 'called', ARGV[1], 1)"))
    with DaemonProcess(server.url, cwd=tmp_path, environ={"LUASPROCS_WORKERS": "2"}) as daemon:
        for number in range(40):
            enqueue(client, "long.lua", number)
        for turn in range(1, 6):
            until(lambda: client.hlen("ran") >= turn * 6)  # noqa: B023  # called at once
            client.execute_command("FUNCTION", "FLUSH")
        settle(client, 60)
        assert "Traceback" not in daemon.output
    assert client.xlen(KEYS.dead) == 0
    ran: Any = client.hgetall("ran")
    assert ran == {b"%d" % number: b"1" for number in range(40)}
    called: Any = client.hgetall("called")
    assert set(called.values()) == {b"200"}


def test_jobs_that_no_worker_can_begin_go_back(own_server, tmp_path):
    """The server takes no more connections: what has not begun is no failure, and counts as no try."""
    own = own_server()
    client = own.client()
    slow = (
        "-- runasync=yes\n-- overlap=allow\nlocal t = os.clock() + 0.02\nwhile os.clock() < t do end\n"
        "redis.call('HINCRBY', 'ran', ARGV[1], 1)\nredis.call('HSET', 'attempts', ARGV[1], sproc.attempt)\n"
    )
    put(client, sproc("slow.lua", slow), sproc("held.lua", "-- runasync=yes\nwhile true do end\n"))
    with DaemonProcess(own.url, cwd=tmp_path, environ={"LUASPROCS_WORKERS": "3"}) as daemon:
        enqueue(client, "slow.lua", 0)
        until(lambda: client.hlen("ran") == 1)
        [worker] = workers_of(daemon)
        limit(client, 0)
        for number in range(1, 30):  # one worker does them: no second one can connect
            enqueue(client, "slow.lua", number)
        until(lambda: client.hlen("ran") == 30)
        enqueue(client, "held.lua")
        until(lambda: cpu(worker) and runs(client))
        for number in range(30, 60):
            enqueue(client, "slow.lua", number)
        limit(client, -1)
        os.kill(worker, signal.SIGKILL)
        daemon.until("async sprocs wait")
        until(lambda: [job.state for job in read_jobs(Registry(client, KEYS))].count("queued") == 30)
        client.config_set("maxclients", 100)
        settle(client, 60)
        assert "Traceback" not in daemon.output
    ran: Any = client.hgetall("ran")
    assert ran == {b"%d" % number: b"1" for number in range(60)}
    assert set(client.hvals("attempts")) == {b"1"}
    assert [job.sproc for job in read_jobs(Registry(client, KEYS)) if job.state == "dead"] == ["held.lua"]


def limit(client: Redis, more: int) -> None:
    """So many more clients than now may be connected."""
    found: Any = client.info("clients")
    client.config_set("maxclients", found["connected_clients"] + more)
