"""`function=NAME`: a Redis function of a sproc's own, in the engine's library, with flags from the header."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.errors import ProblemsError
from luasprocs.language.check import check
from luasprocs.language.needs import Needs, Own
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.registry.live import needs_in, read_live
from luasprocs.server import acl
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

KEYS = Keys()
RESERVE = "-- function=reserve\nreturn {KEYS[1] or '', ARGV[1] or '', #ARGV, sproc.name, sproc.trigger}"


@pytest.fixture
def client(server):
    return server.client()


def functions(client, library="luasprocs"):
    """Those beside the engine's own, with their flags."""
    [found] = client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", library)
    pairs = dict(zip(found[::2], found[1::2], strict=True)) if isinstance(found, list) else found
    each = [
        dict(zip(one[::2], one[1::2], strict=True)) if isinstance(one, list) else one for one in pairs[b"functions"]
    ]
    named = {one[b"name"].decode(): {flag.decode() for flag in one[b"flags"]} for one in each}
    return {name: flags for name, flags in named.items() if "luasprocs_" not in name}


def refused(client, *sprocs, **options):
    """What is wrong; and nothing was written."""
    before = read_live(Registry(client, options.get("keys", KEYS)))
    with pytest.raises(ProblemsError) as error:
        put(client, *sprocs, **options)
    assert read_live(Registry(client, options.get("keys", KEYS))).revision == before.revision
    return str(error.value)


def test_it_is_called_without_the_sprocs_name(client):
    put(client, sproc("shop/reserve.lua", RESERVE))
    assert functions(client) == {"reserve": set()}
    assert client.fcall("reserve", 1, "k", "a", "b") == [b"k", b"a", 2, b"shop/reserve.lua", b"call"]
    assert client.fcall("reserve", 0) == [b"", b"", 0, b"shop/reserve.lua", b"call"]
    assert client.fcall("luasprocs_execute", 0, "shop/reserve.lua", "a")[1:3] == [b"a", 1]


def test_calls_are_counted_and_errors_name_file_and_line(client):
    raises = "-- function=raises\nlocal x\nerror('boom')"
    put(client, sproc("a.lua", raises), sproc("b.lua", "-- function=wrong\n\nredis.call('LPUSH', KEYS[1], 1)"))
    client.set("text", "x")
    with pytest.raises(ResponseError, match=r"a\.lua:3: boom"):
        client.fcall("raises", 0)
    with pytest.raises(ResponseError, match=r"on @b\.lua:3\."):
        client.fcall("wrong", 1, "text")
    for _ in range(4):
        client.set("k", "1")
        client.delete("k")
        client.fcall("wrong", 1, "k")
    Registry(client, KEYS).call("flush")
    assert [int(client.hget(KEYS.stats(name), "calls")) for name in ("a.lua", "b.lua")] == [1, 5]


def test_flags_come_from_the_header(client):
    put(
        client,
        sproc("a.lua", "-- function=reads\n-- readonly=yes\nreturn redis.call('GET', 'x')"),
        sproc("b.lua", "-- function=adds\n-- oom=allow\nreturn 1"),
        sproc("c.lua", "-- function=both\n-- oom=allow\n-- readonly=yes\nreturn redis.call('SET', 'x', 1)"),
    )
    assert functions(client) == {"reads": {"no-writes"}, "adds": {"allow-oom"}, "both": {"no-writes", "allow-oom"}}
    for _ in range(2100):  # more than are counted between two writes of the counter
        client.fcall_ro("reads", 0)
    with pytest.raises(ResponseError, match="Write commands are not allowed"):
        client.fcall("both", 0)


def test_it_goes_with_the_sproc_its_header_and_a_rollback(client):
    def known(*sprocs):
        put(client, *sprocs)
        return functions(client)

    assert known(sproc("a.lua", RESERVE)) == {"reserve": set()}
    assert known(sproc("a.lua", RESERVE), sproc("b.lua", "return 1")) == {"reserve": set()}
    assert known(sproc("a.lua", RESERVE.replace("reserve", "hold"))) == {"hold": set()}
    assert known(sproc("c.lua", RESERVE.replace("reserve", "hold"))) == {"hold": set()}
    assert client.fcall("hold", 0)[3] == b"c.lua"
    assert known(sproc("c.lua", "-- enabled=no\n" + RESERVE)) == {}
    assert known(sproc("c.lua", RESERVE)) == {"reserve": set()}
    assert known() == {}
    assert client.exists(KEYS.functions) == 0


def test_one_that_stays_is_known_after_an_apply_of_others(client):
    registry = Registry(client, KEYS)
    sprocs = (sproc("a.lua", RESERVE), sproc("b.lua", "-- function=other\n-- readonly=yes\nreturn 1"))
    put(client, *sprocs)
    before = functions(client)
    assert read_live(registry).needs == Needs((Own("other", "b.lua", ("no-writes",)), Own("reserve", "a.lua")))
    put(client, *sprocs, sproc("c.lua", "return 1"))
    assert functions(client) == before
    assert (read_live(registry).faults, read_live(registry).drift) == ((), ())


def test_a_name_that_another_library_has_is_refused_before_anything_is_written(client):
    library = "#!lua name=theirs\nredis.register_function('Reserve', function() return 'theirs' end)"
    client.function_load(library)
    put(client, sproc("b.lua", "return 1"))
    said = refused(client, sproc("a.lua", RESERVE), sproc("b.lua", "return 2"))
    assert said == "a.lua:1:13: function reserve belongs to the library theirs on this server: take another name"
    assert client.fcall("reserve", 0) == b"theirs"
    client.function_delete("theirs")
    put(client, sproc("a.lua", RESERVE))
    assert client.fcall("reserve", 0)[3] == b"a.lua"


def test_two_registries_of_one_server_cant_have_one_name(client):
    put(client, sproc("a.lua", RESERVE))
    assert "belongs to the library luasprocs " in refused(client, sproc("a.lua", RESERVE), keys=Keys("shop"))
    put(client, sproc("a.lua", RESERVE.replace("reserve", "hold")), keys=Keys("shop"))
    assert functions(client, "shop_luasprocs") == {"hold": set()}
    assert client.fcall("hold", 0)[3] == b"a.lua"


def test_two_sprocs_cant_have_one_name(client):
    both = (sproc("a.lua", RESERVE), sproc("b.lua", RESERVE.replace("reserve", "RESERVE")))
    said = "b.lua:1:13: function RESERVE is a.lua's already: give one another name"
    assert refused(client, *both) == said
    put(client, both[0])
    assert refused(client, *both) == said


@pytest.mark.parametrize(
    "name", ["luasprocs_execute", "shop_luasprocs_run", "LUASPROCS_X", "a-b", "a.b", "", "é", "yes", "No"]
)
def test_a_name_that_cant_be_is_refused(name):
    with pytest.raises(ProblemsError, match="function"):
        sproc("a.lua", f"-- function={name}\nreturn 1")


@pytest.mark.parametrize("other", ["runasync=yes", "library=yes"])
def test_what_the_server_does_not_run_by_itself_has_none(other):
    with pytest.raises(ProblemsError, match="function or"):
        sproc("a.lua", f"-- function=f\n-- {other}\nreturn 1")


def test_check_finds_files_with_one_name_and_reads_others_for_that_alone():
    class Files:
        names = ("a.lua", "b.lua", "c.lua", "off.lua")
        defaults = MappingProxyType[str, str]({})

        def read(self, names):
            sources = {
                "a.lua": RESERVE,
                "b.lua": "--\n" + RESERVE,
                "c.lua": "return 1",
                "off.lua": "-- enabled=no\n" + RESERVE,
            }
            return {name: sources[name].encode() for name in names if name in sources}

        def path(self, name):
            return f"sprocs/{name}"

    found = [str(one) for one in check(Files())]
    assert found == ["sprocs/b.lua:2:13: function reserve is a.lua's already: give one another name"]
    assert [str(one) for one in check(Files(), ["a.lua"])] == [
        "sprocs/a.lua:1:13: function reserve is b.lua's already: give one another name"
    ]
    assert check(Files(), ["c.lua"]) == []


def test_functions_that_were_changed_by_hand_are_a_fault_and_come_back(client):
    registry = Registry(client, KEYS)
    put(client, sproc("a.lua", RESERVE))
    for spoil in (
        lambda: client.delete(KEYS.functions),
        lambda: client.hset(KEYS.functions, "evil", " a.lua"),
        lambda: client.set(KEYS.functions, "x"),
    ):
        spoil()
        live = read_live(registry)
        assert [fault.key for fault in live.faults] == [KEYS.functions]
        put(client, sproc("a.lua", RESERVE))
        assert read_live(registry).faults == ()
        assert functions(client) == {"reserve": set()}
    assert client.fcall("reserve", 0)[3] == b"a.lua"


def test_an_engine_that_was_flushed_comes_back_with_them(client, server):
    put(client, sproc("a.lua", RESERVE), sproc("b.lua", "-- event=set\n-- key=x\nreturn 1"))
    with DaemonProcess(server.url):
        client.function_flush()
        until(lambda: client.fcall("reserve", 0))
    registry = Registry(client, KEYS)
    assert functions(client) == {"reserve": set()}
    assert "engine_differs" not in {one.code for one in findings(read_snapshot(registry, server.url))}
    assert needs_in(client.hgetall(KEYS.functions)).functions == (Own("reserve", "a.lua"),)


def test_a_sproc_is_not_triggered_by_what_it_writes_itself(client, server):
    source = "-- function=bump\n-- event=set\n-- key=x\nredis.call('INCR', 'runs')\nredis.call('SET', 'x', 1)"
    put(client, sproc("a.lua", source))
    with DaemonProcess(server.url):
        client.fcall("bump", 0)
        wait_for_events(Registry(client, KEYS), 30)
        assert client.get("runs") == b"1"
        client.set("x", 2)
        wait_for_events(Registry(client, KEYS), 30)
        assert client.get("runs") == b"2"


def test_a_caller_needs_no_further_right(client, server):
    put(client, sproc("a.lua", "-- function=put\nreturn redis.call('SET', KEYS[1], 1)"))
    client.execute_command("ACL", "SETUSER", "app", *acl.rule("caller", KEYS), ">pw")
    assert server.client(username="app", password="pw").fcall("put", 1, "app:1") == b"OK"
