"""With `min-replicas-to-write` unmet: what is `readonly=yes` runs, and the rest is refused with the server's reason."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from luasprocs.client import Sprocs
from luasprocs.contract.codes import FindingCode
from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError
from luasprocs.operations.findings import findings
from luasprocs.operations.run import Enqueued, Ran, run
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

KEYS = Keys()
SPROCS = (
    sproc("reads.lua", "-- readonly=yes\n-- function=reads\nreturn redis.call('GET', 'x')"),
    sproc("writes.lua", "-- function=writes\nreturn redis.call('INCR', 'n')"),
    sproc("may.lua", "-- function=may\n-- oom=allow\nreturn redis.call('INCR', 'n')"),
    sproc("later.lua", "-- runasync=yes\nreturn redis.call('INCR', 'n')"),
    sproc("on.lua", "-- event=del\n-- key=x\nredis.call('INCR', 'n')"),
)


@pytest.fixture
def registry(own_server):
    found = Registry(own_server().client(), KEYS)
    put(found.client, *SPROCS)
    found.client.set("x", "here")
    found.client.config_set("min-replicas-to-write", 1)
    return found


def test_what_is_readonly_runs(registry):
    call = registry.client.execute_command
    assert call("FCALL_RO", "luasprocs_execute_ro", 0, "reads.lua") == b"here"
    assert call("FCALL", "luasprocs_execute_ro", 0, "reads.lua") == b"here"
    assert call("FCALL_RO", "reads", 0) == call("FCALL", "reads", 0) == b"here"
    assert Sprocs(registry.client).execute("reads.lua", readonly=True, reply=str) == "here"
    assert run(registry, "reads.lua", by="ann") == Ran(b"here", recorded=False)


def test_the_rest_is_refused_with_the_reason(registry):
    for words in (
        ("luasprocs_execute", 0, "writes.lua"),
        ("luasprocs_execute", 0, "reads.lua"),
        ("luasprocs_execute", 0, "may.lua"),
        ("writes", 0),
        ("may", 0),
        ("luasprocs_enqueue", 0, "later.lua", "-", 1),
    ):
        with pytest.raises(ResponseError, match="NOREPLICAS"):
            registry.client.execute_command("FCALL", *words)
    with pytest.raises(ScriptError, match="replicas"):
        Sprocs(registry.client).execute("writes.lua")
    for name in ("writes.lua", "may.lua", "later.lua"):
        with pytest.raises(ResponseError, match="NOREPLICAS"):
            run(registry, name, by="ann")
    assert registry.client.get("n") is None
    registry.client.config_set("min-replicas-to-write", 0)
    assert isinstance(run(registry, "later.lua", by="ann"), Enqueued)


def test_a_full_server_runs_what_is_readonly_for_people(registry):
    registry.client.config_set("min-replicas-to-write", 0)
    put(registry.client, *SPROCS[:2])  # without oom=allow, so that all functions that may write are refused
    registry.client.config_set("maxmemory-policy", "noeviction")
    registry.client.config_set("maxmemory", 1000)
    assert run(registry, "reads.lua", by="ann") == Ran(b"here", recorded=False)
    with pytest.raises(OutOfMemoryError):
        run(registry, "writes.lua", by="ann")


def test_so_does_a_replica(registry, own_server):
    registry.client.config_set("min-replicas-to-write", 0)
    port = registry.client.connection_pool.connection_kwargs["port"]
    replica = Registry(own_server("--replicaof", f"127.0.0.1 {port}").client(), KEYS)
    until(lambda: replica.client.exists(KEYS.revision))
    assert run(replica, "reads.lua", by="ann") == Ran(b"here", recorded=False)
    with pytest.raises(ReadOnlyError):
        run(replica, "writes.lua", by="ann")


@pytest.mark.timeout(120)
def test_events_and_jobs_wait_for_the_replicas(registry):
    client = registry.client
    client.config_set("min-replicas-to-write", 0)
    with DaemonProcess(url(client)) as daemon:
        client.fcall("luasprocs_enqueue", 0, "later.lua", "-", 1)
        until(lambda: client.get("n") == b"1")
        with client.pipeline(
            transaction=True
        ) as pipe:  # the job is there, and the event has happened, before any write is refused
            pipe.fcall("luasprocs_enqueue", 0, "later.lua", "-", 1)
            pipe.delete("x")
            pipe.config_set("min-replicas-to-write", 1)
            pipe.execute()
        until(lambda: "NOREPLICAS" in daemon.output)
        client.config_set("min-replicas-to-write", 0)
        until(lambda: client.get("n") == b"3")
        assert {one.status for one in until(lambda: read_executions(registry))} == {"ok"}
        assert "Traceback" not in daemon.output


@pytest.mark.timeout(120)
def test_a_job_under_way_begins_anew_and_that_is_no_try(registry):
    client = registry.client
    client.config_set("min-replicas-to-write", 0)
    held = (
        "-- runasync=yes\nredis.call('SET', 'began', 1) while redis.call('GET', 'hold') == '1' do end\n"
        "redis.call('SET', 'attempt', sproc.attempt)"
    )
    put(client, sproc("held.lua", held))
    client.set("hold", "1")
    with DaemonProcess(url(client)) as daemon:
        client.fcall("luasprocs_enqueue", 0, "held.lua", "-", 1)
        until(lambda: client.get("began"))
        with client.pipeline(transaction=True) as pipe:
            pipe.set("hold", "0")
            pipe.config_set("min-replicas-to-write", 1)
            pipe.execute()
        daemon.until("NOREPLICAS")
        time.sleep(0.3)  # the run has failed by then
        client.config_set("min-replicas-to-write", 0)
        until(lambda: client.get("attempt") == b"1")
        until(lambda: not read_jobs(registry))
        assert {one.status for one in read_executions(registry, None)} == {"ok"}
        assert "Traceback" not in daemon.output


@pytest.mark.timeout(120)
def test_readonly_events_and_schedules_wait_too_which_is_said(registry):
    """A run writes its record, and that it is done: so it waits, though its sproc writes nothing."""
    client = registry.client
    client.config_set("min-replicas-to-write", 0)
    put(
        client,
        sproc("sees.lua", "-- readonly=yes\n-- event=del\n-- key=x\nreturn 'seen'"),
        sproc("each.lua", "-- readonly=yes\n-- every=1s\n-- misfire=all\nreturn ARGV[1]"),
    )
    with DaemonProcess(url(client)) as daemon:
        until(lambda: times_of(registry, "each.lua"))
        with client.pipeline(transaction=True) as pipe:
            pipe.delete("x")
            pipe.config_set("min-replicas-to-write", 1)
            pipe.execute()
        daemon.until("NOREPLICAS")
        until(lambda: "replicas" in unreachable(registry))
        before = read_executions(registry)
        time.sleep(2.5)
        assert read_executions(registry) == before
        client.config_set("min-replicas-to-write", 0)
        until(lambda: any(one.sproc == "sees.lua" for one in read_executions(registry)))
        last = client.time()[0]
        until(lambda: max(times_of(registry, "each.lua")) > last)
    times = times_of(registry, "each.lua")
    assert times == list(range(times[0], times[-1] + 1)), "each time once"
    assert [one.sproc for one in read_executions(registry)].count("sees.lua") == 1
    assert {one.status for one in read_executions(registry)} == {"ok"}


def times_of(registry, name):
    """The times that a schedule ran for, in order."""
    return sorted(int(one.reply) for one in read_executions(registry, None) if one.sproc == name)


def unreachable(registry):
    """The message of the finding."""
    return "".join(one.message for one in findings(read_snapshot(registry, "")) if one.code == FindingCode.UNREACHABLE)


def url(client):
    where = client.connection_pool.connection_kwargs
    return f"redis://{where['host']}:{where['port']}/0"
