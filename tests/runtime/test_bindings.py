"""Which sprocs an event is for."""

from __future__ import annotations

import pytest

from luasprocs.runtime.bindings import binding_of, parse_bindings
from tests.live import put, sproc

NO_SPROCS = [b"1", b""]


def reply(sources, **sprocs):
    """What the engine's `bound` would say; a sproc: event, key, reentrant, catchup, timeout."""
    flat = [b"7"]
    for source, names in sources.items():
        flat += [source.encode(), "\n".join(names).encode()]
    flat.append(b"")
    for name, fields in sprocs.items():
        flat += [name.encode(), *(field.encode() for field in (*fields, *[""] * (5 - len(fields))))]
    return flat


def test_nothing_is_bound_where_there_is_nothing():
    bindings = parse_bindings([b"", b""])
    assert bindings.generation == ""
    assert not bindings.sources
    assert not bindings.sprocs


def test_fields_are_read_as_in_a_header():
    bindings = parse_bindings(
        reply({}, a=("set, del", "x*, y[,]z", "yes", "scan", "250ms"), b=("*",), c=("set", "k", "YES", "no", ""))
    )
    assert bindings.generation == "7"
    a, b, c = (bindings.sprocs[name] for name in (b"a", b"b", b"c"))
    assert a.events == frozenset((b"set", b"del"))
    assert a.keys == (b"x*", b"y[,]z")
    assert (a.reentrant, a.catchup) == (True, True)
    assert (b.keys, b.reentrant, b.catchup) == ((b"*",), False, False)
    assert (c.reentrant, c.catchup) == (True, False)
    assert bindings.timeouts_ms == {b"a": 250}


def test_a_sproc_whose_metadata_was_broken_by_hand_is_left_out():
    bindings = parse_bindings(
        reply(
            {"__keyspace@0__:k": ["good", "bad"]},
            good=("set", "k"),
            bad=("get", "k"),
            late=("set", "k", "", "", "soon"),
        )
    )
    assert set(bindings.sprocs) == {b"good"}
    assert bindings.sources[b"__keyspace@0__:k"].match(b"k", b"set") == (b"good",)


def test_a_name_without_a_hash_is_left_out():
    bindings = parse_bindings(reply({"__keyevent@0__:set": ["gone", "here"]}, gone=("",), here=("set", "k*")))
    assert bindings.sources[b"__keyevent@0__:set"].match(b"k1", b"set") == (b"here",)


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        (b"__keyspace@0__:k", False),
        (b"__keyspace@0__:k*", True),
        (b"__keyspace@15__:k[ab]", True),
        (b"__keyspace@0__:k\\*", True),
        (b"__keyevent@0__:set", False),
        (b"__keyevent@0__:*", True),
    ],
)
def test_what_is_a_pattern(source, pattern):
    assert binding_of(source, []).pattern is pattern


def test_a_keyspace_source_tells_by_the_event():
    bindings = parse_bindings(
        reply({"__keyspace@0__:k*": ["a", "b", "c"]}, a=("set", "k*"), b=("del, set", "k*"), c=("*", "k*"))
    )
    match = bindings.sources[b"__keyspace@0__:k*"].match
    assert match(b"k1", b"set") == (b"a", b"b", b"c")
    assert match(b"k1", b"del") == (b"b", b"c")
    assert match(b"k1", b"hset") == (b"c",)
    assert match(b"k2", b"set") is match(b"k1", b"set")


def test_a_keyevent_source_tells_by_the_key_and_in_the_order_of_names():
    bindings = parse_bindings(
        reply(
            {"__keyevent@0__:set": ["a", "b", "c", "d"]},
            a=("set", "x*, *y"),
            b=("set", "xy"),
            c=("set, del", "*"),
            d=("del", "x*"),
        )
    )
    match = bindings.sources[b"__keyevent@0__:set"].match
    assert match(b"xy", b"set") == (b"a", b"b", b"c")
    assert match(b"x", b"set") == (b"a", b"c")
    assert match(b"1y", b"set") == (b"a", b"c")
    assert match(b"z", b"set") == (b"c",)
    assert match(b"", b"set") == (b"c",)
    assert match(b"\xff\x00", b"set") == (b"c",)


def test_a_key_that_nothing_wants_gives_nothing():
    bindings = parse_bindings(reply({"__keyevent@0__:set": ["a"]}, a=("set", "x*, yy*")))
    match = bindings.sources[b"__keyevent@0__:set"].match
    assert match(b"y", b"set") == ()
    assert match(b"", b"set") == ()


def test_what_the_engine_says_is_understood(server):
    client = server.client()
    put(
        client,
        sproc("a.lua", "-- event=set\n-- key=a*\n-- reentrant=Yes\n"),
        sproc("b b.lua", "-- event=set, expired\n-- key=a*, b*\n-- timeout=2s\n"),
        sproc("none.lua", "return 1"),
    )
    bindings = parse_bindings(client.execute_command("FCALL_RO", "luasprocs_bound", 0))
    assert bindings.generation == "1"
    assert set(bindings.sources) == {b"__keyspace@0__:a*", b"__keyevent@0__:set", b"__keyevent@0__:expired"}
    assert set(bindings.sprocs) == {b"a.lua", b"b b.lua"}
    assert bindings.sprocs[b"a.lua"].reentrant
    assert bindings.sources[b"__keyevent@0__:set"].match(b"b1", b"set") == (b"b b.lua",)
