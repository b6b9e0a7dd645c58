"""The snapshot as it is read from servers: what is done there is what is found."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.codes import FindingCode as Code
from luasprocs.contract.keys import Keys
from luasprocs.errors import RegistryError, ScriptError, ServerAuthenticationError, ServerRightsError
from luasprocs.operations.acknowledgeable import until_ms
from luasprocs.operations.edit import edit
from luasprocs.operations.findings import Finding, findings
from luasprocs.operations.pause import pause
from luasprocs.operations.rollback import rollback
from luasprocs.operations.run import run
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.operations.sprocs import live_sproc
from luasprocs.server.connection import connect, errors_named
from luasprocs.server.registry import Registry
from luasprocs.state.acknowledged import acknowledge
from luasprocs.state.desired import SyncState, publish, suspend
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.sync.service.test_http import ask
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import OwnServer, StartDaemon
    from tests.servers import Server

URL = "redis://127.0.0.1/0"


def found(registry: Registry) -> dict[Code, Finding]:
    return {one.code: one for one in findings(read_snapshot(registry, URL))}


def test_nothing_was_ever_synced(registry: Registry) -> None:
    assert found(registry).keys() == {Code.BEHIND}


def test_keys_that_were_deleted(registry: Registry) -> None:
    client, apply = registry.client, partial(put, registry.client, sproc("a.lua", "-- every=1h\nreturn 1"))
    apply()
    for key in client.keys("*"):
        client.delete(key)
        assert [one for one in found(registry).values() if one.bad and one.code != Code.NO_DAEMON], key
        client.flushall()
        apply()
    client.flushall()
    emptied = found(registry)
    assert (emptied[Code.DRIFT].severity, "was live until its keys were deleted" in emptied[Code.DRIFT].message) == (
        "error",
        True,
    )
    client.function_flush()
    assert found(registry).keys() == {Code.BEHIND}


def test_another_db_than_the_engines_was_not_emptied(server: Server) -> None:
    put(server.client(), sproc("a.lua", "return 1"))
    assert found(Registry(server.client(db=1), Keys())).keys() == {Code.BEHIND}


@pytest.mark.wording
def test_who_has_seen_a_registry_knows_that_it_was_emptied(server: Server) -> None:
    """As after a restart of a server that keeps nothing: its engine is gone as well."""
    client = server.client()
    reader = SnapshotReader(lambda: Registry(client, Keys()))
    environ = {"LUASPROCS_HTTP": "127.0.0.1:0"}
    put(client, sproc("a.lua", "return 1"))
    with DaemonProcess(server.url, environ=environ) as daemon:
        assert reader.read().findings == ()
        until(lambda: b"luasprocs_registry_sprocs 1.0" in ask(daemon, "/metrics")[1])
        client.flushall()
        client.function_flush()
        said = "generation 1 was live until its keys were deleted"
        for _ in range(2):
            [one] = reader.read().findings
            assert (one.code, said in one.message) == (Code.DRIFT, True)
        until(lambda: said.encode() in ask(daemon, "/readyz")[1], what=lambda: ask(daemon, "/readyz"))
        until(lambda: ask(daemon, "/readyz")[0] == 503)
        assert b'luasprocs_finding{code="drift"} 1.0' in ask(daemon, "/metrics")[1]
        daemon.until(f"ERROR finding: drift: the registry is empty: {said}")


def test_only_calls_need_no_daemon(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"))
    assert found(registry) == {}


@pytest.mark.parametrize("header", ["event=set\n-- key=k", "every=1h", "runasync=yes"])
def test_triggers_without_a_daemon(registry: Registry, header: str) -> None:
    put(registry.client, sproc("a.lua", f"-- {header}\nreturn 1"))
    if header == "runasync=yes":
        assert found(registry) == {}
        run(registry, "a.lua", by="ann")
    assert found(registry).keys() == {Code.NO_DAEMON}


def test_a_daemon_that_is_killed_falls_silent(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    put(registry.client, sproc("a.lua", "-- event=set\n-- key=k\nreturn 1"))
    killed = start_daemon(server.url)
    until(lambda: not found(registry))
    killed.kill()
    until(lambda: found(registry).keys() == {Code.NO_DAEMON, Code.DAEMON_SILENT})
    start_daemon(server.url)
    until(lambda: found(registry).keys() == {Code.DAEMON_SILENT})


def test_a_daemon_that_is_stopped_falls_silent(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    """It holds its connections, so nobody else says that it is gone."""
    put(registry.client, sproc("a.lua", "-- event=set\n-- key=k\nreturn 1"))
    stopped = start_daemon(server.url)
    until(lambda: not found(registry))
    os.kill(stopped.pid, signal.SIGSTOP)
    until(lambda: found(registry).keys() == {Code.NO_DAEMON, Code.DAEMON_SILENT})
    os.kill(stopped.pid, signal.SIGCONT)
    until(lambda: not found(registry))


def test_what_was_done_by_hand(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"), sproc("b.lua", "return 1"))
    registry.client.hset(registry.keys.name("a.lua"), "source", "return 2")
    assert found(registry)[Code.DRIFT].names == ("a.lua",)
    registry.client.execute_command("FUNCTION", "FLUSH")
    assert "not loaded" in found(registry)[Code.ENGINE_DIFFERS].message


def test_what_was_done_on_purpose(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"), commit="c1")
    put(registry.client, sproc("a.lua", "return 2"), commit="c2")
    rollback(registry, by="ben@host")
    edit(registry, "a.lua", b"return 3", base=live_sproc(registry, "a.lua").blob, by="Ann <ann@host>")
    suspend(registry, "cem@host", "a freeze")
    pause(registry, ["a.lua"], by="dan@host")
    held = found(registry)
    assert held.keys() == {Code.PINNED, Code.UNSAVED_EDIT, Code.SUSPENDED, Code.PAUSED}
    assert {code: one.by for code, one in held.items() if one.by} == {
        Code.PINNED: "ben@host",
        Code.UNSAVED_EDIT: "Ann <ann@host>",
        Code.SUSPENDED: "cem@host",
        Code.PAUSED: "dan@host",
    }
    assert all(held[code].since_ms for code in (Code.PINNED, Code.UNSAVED_EDIT, Code.SUSPENDED, Code.PAUSED))


def test_a_run_that_failed(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "if ARGV[1] == 'no' then error('boom') end"))
    for word in (b"no", b"yes", b"no", b"no"):
        try:
            run(registry, "a.lua", [], [word], by="ann")
        except Exception as error:  # noqa: BLE001
            assert "boom" in str(error)
    failing = found(registry)[Code.FAILING]
    assert failing.names == ("a.lua",)
    assert "a.lua 2 times in a row" in failing.message
    assert "boom" in failing.message
    run(registry, "a.lua", by="ann")
    assert found(registry) == {}


def test_stats_that_are_no_hash_say_nothing(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"))
    registry.client.set(registry.keys.stats("a.lua"), "no hash")
    assert found(registry) == {}


ALL_BUT_STATS = ("+@all", "~__[*]_Sproc_[^S]*", "~__[*]_Sproc_S[^t]*", "&*")


@pytest.mark.parametrize("header", ["", "-- every=1h\n"])
def test_who_may_not_see_how_runs_ended_is_not_told_that_none_failed(server: Server, header: str) -> None:
    client = server.client()
    put(client, sproc("a.lua", f"{header}error('boom')"))
    with pytest.raises(ScriptError):
        run(Registry(client, Keys()), "a.lua", by="ann")
    client.execute_command("ACL", "SETUSER", "ben", "reset", "on", "nopass", *ALL_BUT_STATS)
    url = server.url.replace("//", "//ben:x@")
    lean = Registry(connect(url), Keys())
    with pytest.raises(ServerRightsError, match="refuses it to this user"):
        read_snapshot(lean, url)
    with pytest.raises(ServerRightsError), errors_named(url):
        SnapshotReader(lambda: lean).read()
    with pytest.raises(ServerRightsError), errors_named(url):
        SnapshotReader(lambda: lean).read(["a.lua"])
    daemon = DaemonProcess(url, environ={"LUASPROCS_HTTP": "127.0.0.1:0"}).spawn()
    try:
        daemon.until("findings can't be told: ")
    finally:
        daemon.kill()
    lean.client.close()


def test_the_last_run_counts_however_many_records_came_since(
    registry: Registry, server: Server, start_daemon: StartDaemon
) -> None:
    put(
        registry.client,
        sproc("nightly.lua", "-- every=1s\nif redis.call('EXISTS', 'stop') == 0 then error('boom') end"),
        sproc("often.lua", "-- event=set\n-- key=k\nreturn 1"),
    )
    daemon = start_daemon(server.url)
    until(lambda: Code.FAILING in found(registry))
    daemon.stop()
    registry.client.xtrim(registry.keys.executions, maxlen=0, approximate=False)
    assert found(registry)[Code.FAILING].names == ("nightly.lua",)


def test_what_a_daemon_saw_of_git(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"), commit="c1")
    for state in ("refused", "diverged", "unknown", "behind", "degraded"):
        publish(registry, SyncState(commit="c2", state=state, reason="why", at=2e9, daemon="d"))
        assert found(registry).keys() == {Code(state)}  # type: ignore[call-arg]  # a member by its word


def test_dead_jobs_gaps_and_missed_times(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    put(
        registry.client,
        sproc("dies.lua", "-- runasync=yes\nerror('no')"),
        sproc("often.lua", "-- every=1s\n-- misfire=skip\nreturn 1"),
    )
    start_daemon(server.url)
    run(registry, "dies.lua", by="ann")
    until(lambda: Code.DEAD_JOBS in found(registry))
    assert found(registry)[Code.FAILING].names == ("dies.lua",)
    now_ms = read_snapshot(registry, URL).now_ms
    assert 0 <= now_ms - found(registry)[Code.DEAD_JOBS].since_ms < 120_000
    fields = {"source": "__keyspace@0__:k", "from_ms": now_ms - 10, "to_ms": now_ms, "why": "a restart", "daemon": "d"}
    registry.client.xadd(registry.keys.gaps, fields)  # type: ignore[arg-type]
    assert found(registry)[Code.GAP].names == ("__keyspace@0__:k",)
    registry.client.hset(registry.keys.stats("often.lua"), "last_missed", now_ms)
    assert found(registry)[Code.MISSED].names == ("often.lua",)
    acknowledge(registry, until_ms(read_snapshot(registry, URL)), "ann@host")
    assert found(registry).keys() == {Code.DEAD_JOBS, Code.FAILING}
    known = read_snapshot(registry, URL).acknowledged[Code.GAP]
    assert (known.by, known.at_ms >= now_ms) == ("ann@host", True)
    registry.client.delete(registry.keys.acknowledged)
    registry.client.set(registry.keys.acknowledged, "x")
    assert {Code.GAP, Code.MISSED, Code.DRIFT} <= found(registry).keys()
    with pytest.raises(RegistryError, match="is not a hash"):
        acknowledge(registry, {Code.GAP: 5}, "ann")


def test_a_policy_that_evicts(own_server: OwnServer) -> None:
    own = own_server("--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru")
    registry = Registry(connect(own.url), Keys())
    put(registry.client, sproc("a.lua", "return 1"))
    assert found(registry).keys() == {Code.EVICTING}
    registry.client.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--maxmemory", "100kb"), "OOM"),
        (("--maxmemory", "100kb", "--maxmemory-policy", "volatile-lru"), "OOM"),
        (("--min-replicas-to-write", "1"), "NOREPLICAS"),
        (("--replicaof", "127.0.0.1 1"), "READONLY"),
    ],
)
def test_a_server_that_takes_no_writes(own_server: OwnServer, options: tuple[str, ...], said: str) -> None:
    own = own_server()
    client = connect(own.url)
    registry = Registry(client, Keys())
    put(client, sproc("a.lua", "-- event=set\n-- key=k:*\nreturn 1"))
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name == "--replicaof":
            client.replicaof(*value.split())
        else:
            client.config_set(name[2:], value)
    now = found(registry)
    assert said in now[Code.UNREACHABLE].message
    assert Code.NO_DAEMON not in now
    client.close()


def test_a_replica_that_is_looked_at_while_daemons_serve_its_master(
    own_server: OwnServer, start_daemon: StartDaemon
) -> None:
    own = own_server()
    client = connect(own.url)
    registry = Registry(client, Keys())
    put(client, sproc("a.lua", "-- event=set\n-- key=k:*\nreturn 1"))
    daemon = start_daemon(own.url)
    until(lambda: not found(registry))
    client.replicaof("127.0.0.1", 1)
    assert not found(registry)
    daemon.stop()
    client.close()


def test_a_server_that_is_gone_makes_a_snapshot_and_a_refusal_does_not(own_server: OwnServer) -> None:
    own = own_server()
    registry = Registry(connect(own.url), Keys())
    wrong = Registry(connect(own.url.replace("//", "//ann:x@")), Keys())
    with pytest.raises(ServerAuthenticationError):
        read_snapshot(wrong, own.url)
    own.client().execute_command("ACL", "SETUSER", "ben", "on", "nopass", "+client", "+ping")
    with pytest.raises(ServerRightsError):
        read_snapshot(Registry(connect(own.url.replace("//", "//ben:x@")), Keys()), own.url)
    own.kill()
    snapshot = read_snapshot(registry, own.url.replace("//", "//ann:s3cret@"))
    assert "nothing answers" in snapshot.unreachable
    assert "s3cret" not in snapshot.unreachable
    assert [one.code for one in findings(snapshot)] == [Code.UNREACHABLE]
