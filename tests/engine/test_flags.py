"""The flags `allow-stale` and `allow-cross-slot-keys` of a first line, against EVAL with the same line."""

from __future__ import annotations

import socket

import pytest
from redis.exceptions import MasterDownError, ResponseError

from luasprocs.contract.keys import Keys
from tests.live import put, sproc
from tests.until import until

KEYS = Keys()
ALLOWED = "#!lua flags=no-writes,allow-stale\n"
CLOCK = "return #redis.call('TIME')"
SPROCS = (
    sproc("clock.lua", f"{ALLOWED}-- function=clock\n{CLOCK}"),
    sproc("fresh.lua", f"{ALLOWED}-- function=fresh\n{CLOCK}"),
    sproc("reads.lua", f"{ALLOWED}-- function=reads\nreturn redis.call('GET', 'x')"),
    sproc("denied.lua", f"-- readonly=yes\n-- function=denied\n{CLOCK}"),
)


@pytest.fixture
def stale(own_server):
    """A replica that serves no stale data, and has lost its master; all but `fresh` were called there before."""
    master = own_server()
    put(master.client(), *SPROCS)
    replica = own_server("--replicaof", f"127.0.0.1 {master.port}", "--replica-serve-stale-data", "no").client()
    until(lambda: replica.exists(KEYS.revision))
    for function in ("clock", "reads", "denied"):
        replica.execute_command("FCALL_RO", function, 0)
    master.kill()
    until(lambda: is_stale(replica))
    return replica


def is_stale(client):
    try:
        client.get("x")
    except MasterDownError:
        return True
    return False


def test_a_function_of_its_own_runs_on_a_stale_replica_as_under_eval(stale):
    call = stale.execute_command
    assert call("EVAL", ALLOWED + CLOCK, 0) == call("FCALL", "clock", 0) == call("FCALL_RO", "clock", 0) == 2
    for _ in range(2_500):  # more than are counted in one go
        call("FCALL_RO", "clock", 0)
    for words in (("FCALL_RO", "reads", 0), ("EVAL", ALLOWED + "return redis.call('GET', 'x')", 0)):
        with pytest.raises(ResponseError, match="Can not execute the command on a stale replica"):
            call(*words)
    with pytest.raises(MasterDownError):
        call("FCALL_RO", "denied", 0)


def test_what_a_stale_replica_does_not_run(stale):
    for function in ("luasprocs_execute_ro", "luasprocs_execute"):
        with pytest.raises((MasterDownError, ResponseError)):
            stale.execute_command("FCALL", function, 0, "clock.lua")
    with pytest.raises(ResponseError, match="stale replica"):  # its source was never read here
        stale.execute_command("FCALL_RO", "fresh", 0)


def test_keys_of_several_slots(own_server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        bus = free.getsockname()[1]
    client = own_server("--cluster-enabled", "yes", "--cluster-port", str(bus)).client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    line, source = "#!lua flags=allow-cross-slot-keys\n", "return redis.call('INCR', 'a') + redis.call('INCR', 'b')"
    keys = Keys("{shop}")
    put(
        client,
        sproc("a.lua", f"{line}-- function=both\n{source}"),
        sproc("b.lua", f"-- function=one\n{source}"),
        keys=keys,
    )
    assert client.execute_command("EVAL", line + source, 0) == 2
    assert client.execute_command("FCALL", "both", 0) == 4
    for words in (
        ("EVAL", "#!lua\n" + source, 0),
        ("FCALL", "one", 0),
        ("FCALL", keys.function("execute"), 0, "a.lua"),
    ):
        with pytest.raises(ResponseError, match="keys that do not hash to the same slot"):
            client.execute_command(*words)
