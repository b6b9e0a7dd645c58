"""Events that not every server has, and commands whose events differ: what a real daemon makes of them."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.language.values import EVENTS
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.servers import KINDS, NOT_HERE, Server, missing
from tests.until import until

SEEN = f"""-- event={", ".join(sorted(EVENTS - {"keymiss"}))}
-- key=ev:*
redis.call('RPUSH', 'seen', ARGV[2])
redis.call('SET', 'type of ' .. ARGV[2], ARGV[3])
"""
FIELD = ("FIELDS", 1, "f")
HASH = ("HSET", "ev:1", "f", 1, "g", 2)
LASTING = ("HSETEX", "ev:1", "EX", 100, *FIELD, 1)
NEWER = {
    "HSETEX": ([("HSETEX", "ev:1", "EX", 100, *FIELD, 1)], "new hset hexpire"),
    "HSETEX KEEPTTL": ([HASH, ("HSETEX", "ev:1", "KEEPTTL", *FIELD, 1)], "new hset | hset"),
    "HGETEX": ([HASH, ("HGETEX", "ev:1", "EX", 100, *FIELD)], "new hset | hexpire"),
    "HGETEX PERSIST": ([LASTING, ("HGETEX", "ev:1", "PERSIST", *FIELD)], "new hset hexpire | hpersist"),
    "HGETDEL": ([HASH, ("HGETDEL", "ev:1", *FIELD)], "new hset | hdel"),
    "HGETDEL, the last field": ([("HSET", "ev:1", "f", 1), ("HGETDEL", "ev:1", *FIELD)], "new hset | hdel del"),
    "HEXPIRE": ([HASH, ("HEXPIRE", "ev:1", 100, *FIELD)], "new hset | hexpire"),
    "HPEXPIREAT": ([HASH, ("HPEXPIREAT", "ev:1", 9_000_000_000_000, *FIELD)], "new hset | hexpire"),
    "HPERSIST": ([LASTING, ("HPERSIST", "ev:1", *FIELD)], "new hset hexpire | hpersist"),
    "a field expires": ([HASH, ("HPEXPIRE", "ev:1", 20, *FIELD), "hexpired"], "new hset hexpire | hexpired"),
    "the last field expires": (
        [("HSET", "ev:1", "f", 1), ("HPEXPIRE", "ev:1", 20, *FIELD), "del"],
        "new hset hexpire | hexpired del",
    ),
    "VADD": ([("VADD", "ev:1", "VALUES", 2, 1, 2, "e")], "new"),
    "DEL of a vector set": ([("VADD", "ev:1", "VALUES", 2, 1, 2, "e"), ("DEL", "ev:1")], "new | del"),
    "SET IFEQ": ([("SET", "ev:1", "a"), ("SET", "ev:1", "b", "IFEQ", "a")], "new set | set"),
    "DELIFEQ": ([("SET", "ev:1", "a"), ("DELIFEQ", "ev:1", "a")], "new set | del"),
}
"""Commands, or an event that is waited for; and what they publish, on each server that has them: the last one behind the bar."""
DIFFERING = {
    "EXPIREAT": ([("SET", "ev:1", "a"), ("EXPIREAT", "ev:1", 1)], "new set | del", "new set | expired"),
    "HEXPIREAT": ([HASH, ("HEXPIREAT", "ev:1", 1, *FIELD)], "new hset | hdel", "new hset | hexpired"),
    "HGETEX EXAT": ([HASH, ("HGETEX", "ev:1", "EXAT", 1, *FIELD)], "new hset | hdel", "new hset | hexpired"),
    "HSETEX EXAT": (
        [HASH, ("HSETEX", "ev:1", "EXAT", 1, *FIELD, 1)],
        "new hset | hset hdel",
        "new hset | hset hexpire hexpired",
    ),
}
"""With a time that is past: what Redis publishes, and what Valkey does."""


def plain(events):
    return events.replace("| ", "")


@pytest.fixture(scope="module", params=KINDS)
def server_kind(request):
    """As elsewhere, for a whole module."""
    if why := missing(request.param):
        pytest.skip(why)
    return request.param


@pytest.fixture(scope="module")
def running(server_kind, tmp_path_factory):
    """A server where a daemon runs a sproc that lists all events that there are."""
    server = Server(server_kind, tmp_path_factory.mktemp("events")).start()
    put(server.client(), sproc("seen.lua", SEEN))
    with DaemonProcess(server.url):
        yield server
    server.stop()


@pytest.fixture
def client(running):
    client = running.client()
    client.delete("ev:1")
    wait_for_events(Registry(client, Keys()))
    client.delete("seen", "ev:1")
    yield client
    running.close_clients()


def execute(client, command):
    try:
        client.execute_command(*command)
    except ResponseError as error:
        if not any(words in str(error) for words in ("unknown command", "syntax error")):
            raise
        pytest.skip(NOT_HERE + str(command[0]))


def seen(client, commands):
    """The events that the sproc ran for, in order."""
    for command in commands:
        if isinstance(command, str):
            until(lambda: command.encode() in client.lrange("seen", 0, -1))  # noqa: B023  # called at once
        else:
            execute(client, command)
    wait_for_events(Registry(client, Keys()))
    return b" ".join(client.lrange("seen", 0, -1)).decode()


@pytest.mark.parametrize("case", NEWER)
def test_what_newer_commands_publish_runs_a_sproc(client, case):
    commands, events = NEWER[case]
    assert seen(client, commands) == plain(events)


@pytest.mark.parametrize("case", DIFFERING)
def test_each_product_has_its_own_event_for_a_time_that_is_past(client, running, case):
    commands, on_redis, on_valkey = DIFFERING[case]
    assert seen(client, commands) == plain(on_redis if running.kind == "redis" else on_valkey)


def test_a_vector_set_has_its_type_and_no_value(server):
    client = server.client()
    taken = "-- event=new\n-- key=ev:*\n-- type=vectorset\nredis.call('SET', 'got', ARGV[3] .. ARGV[1])"
    put(client, sproc("v.lua", taken))
    with DaemonProcess(server.url):
        client.set("ev:1", "a string")
        execute(client, ("VADD", "ev:2", "VALUES", 2, 1, 2, "e"))
        wait_for_events(Registry(client, Keys()))
        assert client.get("got") == b"vectorset"


def test_any_event_leaves_out_what_a_server_publishes_only_if_asked(server):
    client = server.client()
    put(client, sproc("any.lua", "-- event=*\n-- key=ev:*\nredis.call('RPUSH', 'seen', ARGV[2])"))
    with DaemonProcess(server.url):
        client.set("ev:1", "a")
        client.get("ev:none")
        wait_for_events(Registry(client, Keys()))
        assert client.lrange("seen", 0, -1) == [b"set"]
        assert client.config_get("notify-keyspace-events")["notify-keyspace-events"] == "AK"


def test_classes_that_the_server_lacks_are_said_and_the_others_run(server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=overwritten, set\n-- key=ev:*\nredis.call('INCR', 'fired')"))
    with DaemonProcess(server.url) as daemon:
        client.set("ev:1", "a")
        wait_for_events(Registry(client, Keys()))
        assert client.get("fired") == b"1"
        client.set("ev:1", "b")
        wait_for_events(Registry(client, Keys()))
        has_it = "o" in client.config_get("notify-keyspace-events")["notify-keyspace-events"]
        assert client.get("fired") == (b"3" if has_it else b"2")
        assert ("this server has no events of class o" in daemon.output) != has_it


def test_a_read_of_the_engine_is_nobody_s_miss(server):
    """It looks at the value of each event's key, and at keys that are due: neither is a client's look."""
    client = server.client()
    count = "redis.call('HINCRBY', 'fired', sproc.name .. ' ' .. KEYS[1], 1)"
    put(
        client,
        *(sproc(name, f"-- event=keymiss\n-- key=ev:*\n{count}") for name in ("a.lua", "b.lua")),
        sproc("gone.lua", f"-- event=expired, del\n-- key=ev:*\n{count}"),
    )
    with DaemonProcess(server.url):
        client.get("ev:none")
        client.set("ev:deleted", "x")
        client.delete("ev:deleted")
        client.set("ev:expired", "x", px=300)
        until(lambda: client.hget("fired", "gone.lua ev:expired"))
        time.sleep(0.3)
        wait_for_events(Registry(client, Keys()))
        assert client.hgetall("fired") == {
            b"a.lua ev:none": b"1",
            b"b.lua ev:none": b"1",
            b"gone.lua ev:deleted": b"1",
            b"gone.lua ev:expired": b"1",
        }
