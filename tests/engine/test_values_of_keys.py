"""What an event's sproc gets as ARGV: the key's value, the event, the type. With a real daemon."""

from __future__ import annotations

import json
import time

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.servers import KINDS, Server, missing
from tests.until import PATIENCE_S

LIMIT_BYTES = 512 * 1024
LIMIT_ELEMENTS = 10_000
TAKE = """-- event={events}
-- key=ev:*
{more}
redis.call('HSET', 'got:' .. KEYS[1], 'value', ARGV[1], 'event', ARGV[2], 'type', ARGV[3], 'count', #ARGV,
  'keys', #KEYS, 'cut', sproc.cut or '', 'trigger', sproc.trigger, 'name', sproc.name)
"""
EVENTS = (
    "set, hset, rpush, sadd, zadd, xadd, append, incrby, setrange, del, expired, rename_to, rename_from, lpop, ltrim"
)


@pytest.fixture(scope="module", params=KINDS)
def server_kind(request):
    """As elsewhere, for a whole module."""
    if why := missing(request.param):
        pytest.skip(why)
    return request.param


@pytest.fixture(scope="module")
def running(server_kind, tmp_path_factory):
    """A server where a daemon runs a sproc that keeps what it got."""
    server = Server(server_kind, tmp_path_factory.mktemp("values")).start()
    put(server.client(), sproc("take.lua", TAKE.format(events=EVENTS, more="")))
    with DaemonProcess(server.url):
        yield server
    server.stop()


@pytest.fixture
def client(running):
    """A client of it, with none of the keys of the test before."""
    client = running.client()
    for keys in ("ev:*", "got:*"):
        client.delete(*client.keys(keys), "tmp")
        wait_for_events(Registry(client, Keys()))
    yield client
    running.close_clients()


def got(client, key, event=b""):
    """Fields of what the sproc got for a key, for its last event."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        found = client.hgetall(b"got:" + (key if isinstance(key, bytes) else key.encode()))
        if found and (not event or found[b"event"] == event):
            return found
        time.sleep(0.01)
    raise AssertionError(f"the sproc never got {key!r} {event!r}")


def test_a_string(client):
    client.set("ev:1", "hello")
    found = got(client, "ev:1")
    assert (found[b"value"], found[b"event"], found[b"type"]) == (b"hello", b"set", b"string")
    assert (found[b"count"], found[b"keys"], found[b"cut"]) == (b"3", b"1", b"")
    assert (found[b"trigger"], found[b"name"]) == (b"event", b"take.lua")


def test_any_bytes(client):
    for number, value in enumerate((b"", b"\x00", bytes(range(256)), b"\xff\xfe\r\n", "ü€😀".encode(), b" ")):
        client.set(f"ev:{number}", value)
        found = got(client, f"ev:{number}")
        assert (found[b"value"], found[b"type"]) == (value, b"string")


def test_any_key(client):
    for key in (b"ev:\x00\xff", b"ev:a b\n", "ev:ü€".encode(), b"ev:" + b"k" * 5000, b"ev:*[x]", b"ev:"):
        client.set(key, "x")
        assert got(client, key)[b"value"] == b"x"


@pytest.mark.parametrize(
    ("command", "event", "value"),
    [
        (("INCR", "ev:1"), b"incrby", b"1"),
        (("APPEND", "ev:1", "ab"), b"append", b"ab"),
        (("SETRANGE", "ev:1", 2, "x"), b"setrange", b"\x00\x00x"),
    ],
)
def test_strings_made_otherwise(client, command, event, value):
    client.execute_command(*command)
    found = got(client, "ev:1")
    assert (found[b"value"], found[b"event"], found[b"type"]) == (value, event, b"string")


@pytest.mark.parametrize(
    ("command", "event", "kind", "value"),
    [
        (("HSET", "ev:1", "a", "1", "b", ""), b"hset", b"hash", {"a": "1", "b": ""}),
        (("RPUSH", "ev:1", "x", "y", "x"), b"rpush", b"list", ["x", "y", "x"]),
        (("ZADD", "ev:1", 1.5, "x", -2, "y"), b"zadd", b"zset", [["y", "-2"], ["x", "1.5"]]),
        (("XADD", "ev:1", "1-1", "f", "1", "g", "2"), b"xadd", b"stream", [["1-1", {"f": "1", "g": "2"}]]),
        (("SADD", "ev:1", "x"), b"sadd", b"set", ["x"]),
    ],
)
def test_what_is_no_string_is_json(client, command, event, kind, value):
    client.execute_command(*command)
    found = got(client, "ev:1")
    assert (found[b"event"], found[b"type"], found[b"cut"]) == (event, kind, b"")
    assert json.loads(found[b"value"]) == value


def test_a_set_has_each_member_once(client):
    members = {f"m{number}" for number in range(1000)}
    client.sadd("ev:1", *members)
    value = json.loads(got(client, "ev:1")[b"value"])
    assert set(value) == members
    assert len(value) == 1000


def test_bytes_that_are_no_text_stay_as_they_are_in_json(client):
    client.hset("ev:1", mapping={b"\xff": b"a\x80\xfe", b'q"\\': b"\x00\n"})
    value = json.loads(got(client, "ev:1")[b"value"].decode("utf-8", "surrogateescape"))
    assert {one.encode("utf-8", "surrogateescape") for one in value} == {b"\xff", b'q"\\'}
    assert value[b"\xff".decode("utf-8", "surrogateescape")].encode("utf-8", "surrogateescape") == b"a\x80\xfe"
    assert value['q"\\'] == "\x00\n"


def test_a_key_that_is_gone(client):
    client.set("ev:1", "x")
    got(client, "ev:1")
    client.delete("ev:1")
    found = got(client, "ev:1", b"del")
    assert (found[b"value"], found[b"type"], found[b"cut"]) == (b"", b"none", b"")


def test_a_key_that_expired(client):
    client.set("ev:1", "x", px=100)
    found = got(client, "ev:1", b"expired")
    assert (found[b"value"], found[b"type"]) == (b"", b"none")


def test_a_key_that_was_renamed(client):
    client.set("tmp", "x")
    client.rename("tmp", "ev:1")
    found = got(client, "ev:1", b"rename_to")
    assert (found[b"value"], found[b"type"]) == (b"x", b"string")
    client.rename("ev:1", "tmp")
    found = got(client, "ev:1", b"rename_from")
    assert (found[b"value"], found[b"type"]) == (b"", b"none")


@pytest.mark.parametrize(
    ("size", "cut"), [(LIMIT_BYTES, b""), (LIMIT_BYTES + 1, b"524289 bytes"), (3_000_000, b"3000000 bytes")]
)
def test_a_string_that_is_too_long_is_cut_and_says_so(client, size, cut):
    client.set("ev:1", "x" * size)
    found = got(client, "ev:1")
    assert found[b"value"] == b"x" * min(size, LIMIT_BYTES)
    assert found[b"cut"] == cut


@pytest.mark.parametrize("kind", ["hash", "list", "set", "zset", "stream"])
@pytest.mark.parametrize("count", [LIMIT_ELEMENTS, LIMIT_ELEMENTS + 500])
def test_too_many_elements_are_cut_and_say_so(client, kind, count):
    _fill(client, kind, [f"m{number}" for number in range(count)])
    found = got(client, "ev:1", b"rename_to")
    value = json.loads(found[b"value"])
    if count == LIMIT_ELEMENTS:
        assert found[b"cut"] == b""
        assert len(value) == count
    else:
        assert found[b"cut"] == b"%d elements" % count
        assert len(value) == LIMIT_ELEMENTS


@pytest.mark.parametrize("kind", ["hash", "list", "set", "zset", "stream"])
def test_all_elements_come_once_and_in_order_however_they_are_read(client, kind):
    plain = {"zset": lambda one: one[0], "stream": lambda one: one[1]["f"]}.get(kind, str)
    for count in (127, 128, 129, 256, 300, 1500):
        names = [f"m{number:04}" for number in range(count)]
        client.delete("ev:1", "got:ev:1")
        _fill(client, kind, names)
        value = json.loads(got(client, "ev:1", b"rename_to")[b"value"])
        found = [plain(one) for one in value]
        assert (sorted(found) if kind in {"hash", "set"} else found) == names, count


def test_of_a_huge_value_only_what_is_passed_is_read(own_server):
    server = own_server()  # its peak of memory is its own
    client = server.client()
    put(client, sproc("take.lua", TAKE.format(events=EVENTS, more="")))
    client.eval("local s = string.rep('x', 100000); for _ = 1, 1000 do redis.call('RPUSH', KEYS[1], s) end", 1, "tmp")
    before = client.info("memory")["used_memory"]
    with DaemonProcess(server.url):
        client.rename("tmp", "ev:1")
        assert got(client, "ev:1", b"rename_to")[b"cut"] == b"1000 elements"
    assert client.info("memory")["used_memory_peak"] < before + 60_000_000


def _fill(client, kind, names):
    """At another key, so that one event comes for all."""
    pipe = client.pipeline(transaction=False)
    for start in range(0, len(names), 1000):
        some = names[start : start + 1000]
        if kind == "hash":
            pipe.hset("tmp", mapping=dict.fromkeys(some, "v"))
        elif kind == "list":
            pipe.rpush("tmp", *some)
        elif kind == "set":
            pipe.sadd("tmp", *some)
        elif kind == "zset":
            pipe.zadd("tmp", dict.fromkeys(some, 1))
        else:
            for name in some:
                pipe.xadd("tmp", {"f": name})
    pipe.execute()
    client.rename("tmp", "ev:1")


def test_elements_that_are_too_long_are_cut_and_say_so(client):
    client.rpush("tmp", *["x" * 100_000] * 20)
    client.rename("tmp", "ev:1")
    found = got(client, "ev:1", b"rename_to")
    assert found[b"cut"] == b"20 elements"
    assert len(json.loads(found[b"value"])) == 5


def test_entries_of_a_stream_that_are_too_long_are_cut_and_say_so(client):
    for _ in range(20):
        client.xadd("tmp", {"f": "x" * 50_000, "g": "x" * 50_000})
    client.rename("tmp", "ev:1")
    found = got(client, "ev:1", b"rename_to")
    assert found[b"cut"] == b"20 elements"
    assert len(json.loads(found[b"value"])) == 5


def test_a_cut_is_said_of_its_own_event_only(client):
    client.mset({"ev:1": "short", "ev:2": "x" * (LIMIT_BYTES + 1), "ev:3": "short"})
    assert got(client, "ev:2")[b"cut"] == b"524289 bytes"
    assert got(client, "ev:1")[b"cut"] == got(client, "ev:3")[b"cut"] == b""


def test_without_its_value(server):
    client = server.client()
    put(client, sproc("take.lua", TAKE.format(events=EVENTS, more="-- value=no")))
    with DaemonProcess(server.url):
        client.set("ev:1", "x")
        found = got(client, "ev:1")
        assert (found[b"value"], found[b"event"], found[b"type"]) == (b"", b"set", b"string")
        client.hset("ev:2", "f", "v")
        found = got(client, "ev:2")
        assert (found[b"value"], found[b"event"], found[b"type"]) == (b"", b"hset", b"hash")


def test_only_of_its_types(server):
    client = server.client()
    put(client, sproc("take.lua", TAKE.format(events="set, hset, rename_to", more="-- type=hash, zset")))
    with DaemonProcess(server.url):
        client.set("ev:string", "x")
        client.rpush("tmp", "x")
        client.rename("tmp", "ev:list")
        client.hset("ev:hash", "f", "v")
        assert got(client, "ev:hash")[b"type"] == b"hash"
        assert not client.exists("got:ev:string", "got:ev:list")


def test_a_key_that_another_type_took_the_place_of(client):
    """Two quick writes: both may see the second, with its type."""
    with client.pipeline(transaction=True) as pipe:
        pipe.set("ev:1", "x")
        pipe.delete("ev:1")
        pipe.hset("ev:1", "f", "v")
        pipe.execute()
    found = got(client, "ev:1", b"hset")
    assert (found[b"type"], json.loads(found[b"value"])) == (b"hash", {"f": "v"})


def test_a_list_emptied_in_the_same_transaction_is_gone(client):
    with client.pipeline(transaction=True) as pipe:
        pipe.rpush("ev:1", "x")
        pipe.lpop("ev:1")
        pipe.execute()
    found = got(client, "ev:1", b"del")
    assert (found[b"value"], found[b"type"]) == (b"", b"none")
