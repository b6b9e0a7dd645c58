"""Which letters of notify-keyspace-events an event takes, against the servers themselves."""

from __future__ import annotations

import contextlib
import time

import pytest
from redis.exceptions import ResponseError

from luasprocs.language.values import EVENTS
from luasprocs.runtime import flags
from luasprocs.runtime.bindings import Bindings, Bound, binding_of
from tests.servers import NOT_HERE

FIELDS = ("FIELDS", 1, "f")
MADE_BY = {
    "del": [("SET", "k", "x"), ("DEL", "k")],
    "expire": [("SET", "k", "x"), ("EXPIRE", "k", 100)],
    "persist": [("SET", "k", "x", "EX", 100), ("PERSIST", "k")],
    "rename_from": [("SET", "k", "x"), ("RENAME", "k", "l")],
    "rename_to": [("SET", "k", "x"), ("RENAME", "k", "l")],
    "move_from": [("SET", "k", "x"), ("MOVE", "k", 1)],
    "move_to": [("SET", "k", "x"), ("MOVE", "k", 1)],
    "copy_to": [("SET", "k", "x"), ("COPY", "k", "l")],
    "sortstore": [("RPUSH", "k", 2, 1), ("SORT", "k", "STORE", "l")],
    "expired": [("SET", "k", "x", "PX", 1), ("wait",), ("EXISTS", "k")],
    "new": [("SET", "k", "x")],
    "keymiss": [("GET", "k")],
    "overwritten": [("SET", "k", "x"), ("SET", "k", "y")],
    "type_changed": [("RPUSH", "k", "x"), ("SET", "k", "y")],
    "set": [("SET", "k", "x")],
    "setrange": [("SETRANGE", "k", 0, "x")],
    "incrby": [("INCR", "k")],
    "incrbyfloat": [("INCRBYFLOAT", "k", 1)],
    "append": [("APPEND", "k", "x")],
    "setbit": [("SETBIT", "k", 1, 1)],
    "pfadd": [("PFADD", "k", "x")],
    "lpush": [("LPUSH", "k", "x")],
    "rpush": [("RPUSH", "k", "x")],
    "lpop": [("RPUSH", "k", "x"), ("LPOP", "k")],
    "rpop": [("RPUSH", "k", "x"), ("RPOP", "k")],
    "linsert": [("RPUSH", "k", "x"), ("LINSERT", "k", "BEFORE", "x", "y")],
    "lset": [("RPUSH", "k", "x"), ("LSET", "k", 0, "y")],
    "lrem": [("RPUSH", "k", "x", "y"), ("LREM", "k", 0, "x")],
    "ltrim": [("RPUSH", "k", "x", "y"), ("LTRIM", "k", 0, 0)],
    "hset": [("HSET", "k", "f", 1)],
    "hdel": [("HSET", "k", "f", 1, "g", 1), ("HDEL", "k", "f")],
    "hincrby": [("HINCRBY", "k", "f", 1)],
    "hincrbyfloat": [("HINCRBYFLOAT", "k", "f", 1)],
    "hexpire": [("HSET", "k", "f", 1), ("HEXPIRE", "k", 100, *FIELDS)],
    "hpersist": [("HSET", "k", "f", 1), ("HEXPIRE", "k", 100, *FIELDS), ("HPERSIST", "k", *FIELDS)],
    "hexpired": [("HSET", "k", "f", 1, "g", 1), ("HPEXPIRE", "k", 1, *FIELDS), *[("wait",)] * 10, ("HGETALL", "k")],
    "sadd": [("SADD", "k", "x")],
    "srem": [("SADD", "k", "x", "y"), ("SREM", "k", "x")],
    "spop": [("SADD", "k", "x", "y"), ("SPOP", "k")],
    "sinterstore": [("SADD", "k", "x"), ("SINTERSTORE", "l", "k")],
    "sunionstore": [("SADD", "k", "x"), ("SUNIONSTORE", "l", "k")],
    "sdiffstore": [("SADD", "k", "x"), ("SDIFFSTORE", "l", "k")],
    "zadd": [("ZADD", "k", 1, "x")],
    "zincr": [("ZINCRBY", "k", 1, "x")],
    "zrem": [("ZADD", "k", 1, "x", 2, "y"), ("ZREM", "k", "x")],
    "zpopmin": [("ZADD", "k", 1, "x", 2, "y"), ("ZPOPMIN", "k")],
    "zpopmax": [("ZADD", "k", 1, "x", 2, "y"), ("ZPOPMAX", "k")],
    "zremrangebyscore": [("ZADD", "k", 1, "x", 2, "y"), ("ZREMRANGEBYSCORE", "k", 1, 1)],
    "zremrangebyrank": [("ZADD", "k", 1, "x", 2, "y"), ("ZREMRANGEBYRANK", "k", 0, 0)],
    "zremrangebylex": [("ZADD", "k", 1, "x", 1, "y"), ("ZREMRANGEBYLEX", "k", "[x", "[x")],
    "zinterstore": [("ZADD", "k", 1, "x"), ("ZINTERSTORE", "l", 1, "k")],
    "zunionstore": [("ZADD", "k", 1, "x"), ("ZUNIONSTORE", "l", 1, "k")],
    "zdiffstore": [("ZADD", "k", 1, "x"), ("ZDIFFSTORE", "l", 1, "k")],
    "zrangestore": [("ZADD", "k", 1, "x"), ("ZRANGESTORE", "l", "k", 0, -1)],
    "geosearchstore": [
        ("GEOADD", "k", 1, 1, "x"),
        ("GEOSEARCHSTORE", "l", "k", "FROMLONLAT", 1, 1, "BYRADIUS", 9, "km"),
    ],
    "georadiusstore": [("GEOADD", "k", 1, 1, "x"), ("GEORADIUS", "k", 1, 1, 9, "km", "STORE", "l")],
    "xadd": [("XADD", "k", "1-1", "f", "v")],
    "xtrim": [("XADD", "k", "1-1", "f", "v"), ("XADD", "k", "2-1", "f", "v"), ("XTRIM", "k", "MAXLEN", 1)],
    "xdel": [("XADD", "k", "1-1", "f", "v"), ("XDEL", "k", "1-1")],
    "xsetid": [("XADD", "k", "1-1", "f", "v"), ("XSETID", "k", "2-1")],
    "xgroup-create": [("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")],
    "xgroup-createconsumer": [
        ("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM"),
        ("XGROUP", "CREATECONSUMER", "k", "g", "c"),
    ],
    "xgroup-delconsumer": [
        ("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM"),
        ("XGROUP", "CREATECONSUMER", "k", "g", "c"),
        ("XGROUP", "DELCONSUMER", "k", "g", "c"),
    ],
    "xgroup-destroy": [("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM"), ("XGROUP", "DESTROY", "k", "g")],
    "xgroup-setid": [("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM"), ("XGROUP", "SETID", "k", "g", 0)],
}
ON_NEWER_SERVERS = {"overwritten", "type_changed", "hexpire", "hexpired", "hpersist"}
"""Not on Redis 7.0, some not on Valkey either."""
BY_HAND = {"restore", "evicted"}


def run(client, commands):
    for command in commands:
        if command == ("wait",):
            time.sleep(0.05)
        else:
            client.execute_command(*command)


def heard_at(server, letters, cause):
    """Events, by the flags `letters` alone."""
    client = server.client()
    client.flushall()
    client.config_set("notify-keyspace-events", "E" + letters)
    with client.pubsub() as listener:
        listener.psubscribe("__keyevent@*__:*")
        assert listener.get_message(timeout=30)
        cause(client)
        listener.ping()
        found = set()
        while (message := listener.get_message(timeout=30)) and message["type"] != "pong":
            found.add(message["channel"].partition(b"__:")[2].decode())
    return found


def made(event):
    return lambda client: run(client, MADE_BY[event])


def test_the_tests_leave_no_event_out():
    assert MADE_BY.keys() | BY_HAND == EVENTS


@pytest.mark.parametrize("event", sorted(MADE_BY.keys() - ON_NEWER_SERVERS))
def test_its_letters_are_enough(server, event):
    letters = flags.class_of(event)
    assert len(letters) == 1
    assert event in heard_at(server, letters, made(event))


@pytest.mark.parametrize("event", sorted(ON_NEWER_SERVERS))
def test_its_letters_are_enough_where_there_is_such_an_event(server, event):
    try:
        published = event in heard_at(server, _taken(server.client()), made(event))
    except ResponseError as error:
        assert "unknown command" in str(error)
        pytest.skip(NOT_HERE + event)
    if not published:
        pytest.skip(NOT_HERE + event)
    assert event in heard_at(server, flags.class_of(event), made(event))


def _taken(client):
    """The letters that the server takes: Redis 8.2 takes two more than its refusals list."""
    taken = flags.ALL + "nm"
    for letter in "oc":
        with contextlib.suppress(ResponseError):
            client.config_set("notify-keyspace-events", letter)
            taken += letter
    return taken


def _known_letters(client):
    with pytest.raises(ResponseError, match="Invalid event class") as refused:
        client.config_set("notify-keyspace-events", "!")
    return flags.known_to(str(refused.value))


def test_restore(server):
    def restore(client):
        client.set("k", "x")
        client.restore("l", 0, client.dump("k"))

    assert "restore" in heard_at(server, flags.class_of("restore"), restore)


def test_evicted(own_server):
    def evict(client):
        client.config_set("maxmemory-policy", "allkeys-random")
        client.mset({f"k{number}": "x" * 1000 for number in range(100)})
        client.config_set("maxmemory", 1)
        client.config_set("maxmemory", 0)

    def written(client):
        try:
            evict(client)
        finally:
            client.config_set("maxmemory", 0)

    assert "evicted" in heard_at(own_server(), flags.class_of("evicted"), written)


def test_any_event_takes_them_all_and_a_module_s_takes_d():
    assert set(flags.class_of("*")) == flags.expanded("A")
    assert flags.class_of("json.set") == "d"


def test_all_is_what_the_server_means_by_it(server):
    client = server.client()
    client.config_set("notify-keyspace-events", "K" + flags.ALL)
    assert set(client.config_get("notify-keyspace-events")["notify-keyspace-events"]) == {"A", "K"}


@pytest.mark.parametrize("current", ["", "KEA", "Kg$", "Ex", "KEAm", "AKE", "Klhn"])
@pytest.mark.parametrize("wanted", ["K$", "Eg", "Kx", "KEnm", "E$lshzxeg", "K" + flags.ALL])
def test_what_is_missing_is_added_and_nothing_goes(server, current, wanted):
    client = server.client()
    setting = flags.merged(current, set(wanted))
    assert flags.expanded(setting) == flags.expanded(current) | flags.expanded(wanted)
    client.config_set("notify-keyspace-events", setting)
    said = flags.expanded(client.config_get("notify-keyspace-events")["notify-keyspace-events"])
    unsaid = {"n"} if set(flags.ALL) <= said else set()  # CONFIG GET leaves n out where A is on
    assert said | unsaid == flags.expanded(setting) | unsaid


def test_classes_that_a_server_lacks_are_told_from_its_refusal(server):
    known = _known_letters(server.client())
    assert known >= set(flags.ALL) | {"K", "E", "n", "m"}
    assert flags.known_to("NOPERM User x has no permissions") == set()


def _bound(events, *keys):
    return Bound(b"s", frozenset(events), keys)


def test_a_source_needs_the_classes_of_what_it_hears():
    both = _bound((b"hset", b"lpush"), b"a*", b"b*")
    assert flags.needed_by(binding_of(b"__keyspace@0__:k*", [both])) == {"K", "h", "l"}
    assert flags.needed_by(binding_of(b"__keyevent@0__:hset", [both])) == {"E", "h"}
    assert flags.needed_by(binding_of(b"__keyevent@0__:*", [_bound((b"*",), b"*")])) == {"E", *flags.ALL}


def test_expired_needs_what_tells_deadlines():
    def needed(source, *bound):
        return flags.needed(Bindings("1", {source: binding_of(source, bound)}, {one.name: one for one in bound}))

    assert needed(b"__keyspace@0__:k*", _bound((b"expired",), b"k*")) == {"K", "x", "g"}
    assert needed(b"__keyevent@0__:expired", _bound((b"expired",), b"*")) == {"E", "x", "g"}
    assert needed(b"__keyspace@0__:k*", _bound((b"set",), b"k*")) == {"K", "$"}
    assert flags.needed(Bindings()) == set()
