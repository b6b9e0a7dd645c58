"""`evalsha=yes`: EVALSHA finds a sproc by its source's SHA1 from the apply on, and whatever the server forgets."""

from __future__ import annotations

import pytest
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.errors import ProblemsError
from luasprocs.language.analysis import analyse
from luasprocs.language.places import Lines, Range
from luasprocs.registry.live import read_live
from luasprocs.server import acl
from luasprocs.server.registry import Registry
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

KEYS = Keys()
SOURCE = "-- evalsha=yes\nredis.call('INCRBY', KEYS[1], ARGV[1])\nreturn {ARGV[1], redis.call('GET', KEYS[1])}"
MOVED = sproc("moved.lua", SOURCE)


def loaded(client, *sprocs):
    return all(client.script_exists(*(one.sha for one in sprocs)))


def test_it_is_found_from_the_apply_on_and_answers_as_the_sproc(server):
    client = server.client()
    plain = sproc("plain.lua", "return 1")
    put(client, MOVED, plain, sproc("off.lua", "-- evalsha=yes\n-- enabled=no\nreturn 2"))
    assert client.script_exists(MOVED.sha, plain.sha) == [True, False]
    assert client.evalsha(MOVED.sha, 1, "k", 2) == [b"2", b"2"]
    assert client.fcall("luasprocs_execute", 1, "k", "moved.lua", 2) == [b"2", b"4"]
    assert client.script_load(SOURCE) == MOVED.sha
    assert read_live(Registry(client, KEYS)).needs.scripts == ("moved.lua",)


def test_a_changed_or_deleted_ones_sha_stays_and_is_not_loaded_again(server):
    client = server.client()
    put(client, MOVED)
    newer = sproc("moved.lua", SOURCE + " -- newer")
    put(client, newer)
    assert loaded(client, MOVED, newer)
    put(client, sproc("other.lua", "return 1"))
    assert loaded(client, MOVED, newer)
    assert client.hgetall(KEYS.functions) == {}


@pytest.mark.timeout(120)
def test_a_daemon_keeps_them_loaded(own_server):
    server = own_server(persistent=True)
    client = server.client()
    more = [sproc(f"n{number}.lua", f"-- evalsha=yes\nreturn {number}") for number in range(600)]
    put(client, MOVED, *more)
    client.config_set("appendonly", "yes")
    with DaemonProcess(server.url) as daemon:
        client.script_flush()
        until(lambda: loaded(client, MOVED, *more))
        assert client.evalsha(MOVED.sha, 1, "k", 2) == [b"2", b"2"]
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        server.restart()
        client = server.client()
        until(lambda: loaded(client, MOVED, *more))
        newer = sproc("moved.lua", SOURCE + " -- newer")
        put(client, newer)
        client.script_flush()
        until(lambda: loaded(client, newer))
        assert client.script_exists(MOVED.sha, more[0].sha) == [False, False]
        assert "traceback" not in daemon.output.lower()


def test_a_daemon_takes_what_was_changed_by_hand_for_another_script(server):
    client = server.client()
    put(client, MOVED, sproc("other.lua", "-- evalsha=yes\nreturn 1"))
    client.hset(KEYS.name("moved.lua"), "source", "return 'by hand'")
    client.script_flush()
    with DaemonProcess(server.url):
        until(lambda: loaded(client, sproc("other.lua", "-- evalsha=yes\nreturn 1")))
        assert client.script_exists(MOVED.sha, sproc("x.lua", "return 'by hand'").sha) == [False, False]


def test_a_daemon_without_the_right_says_so_once_and_goes_on(server):
    client = server.client()
    put(client, MOVED, sproc("on.lua", "-- event=set\n-- key=ev\nredis.call('INCR', 'ran')"))
    words = [word for word in acl.rule("daemon", KEYS) if word != "+script|exists"]
    client.execute_command("ACL", "SETUSER", "worker", *words, ">pw")
    with DaemonProcess(server.url.replace("redis://", "redis://worker:pw@")) as daemon:
        until(lambda: "script|exists" in daemon.output)
        client.set("ev", 1)
        until(lambda: client.get("ran") == b"1")
        assert daemon.output.count("script|exists") == 1


def test_without_the_right_nothing_is_applied(server):
    admin = server.client()
    put(admin, sproc("first.lua", "return 1"))
    words = [word for word in acl.rule("deployer", KEYS) if word != "+script|load"]
    admin.execute_command("ACL", "SETUSER", "worker", *words, ">pw")
    with pytest.raises(NoPermissionError):
        put(server.client(username="worker", password="pw"), MOVED)
    assert admin.lrange(KEYS.list, 0, -1) == [b"first.lua"]


def test_what_eval_does_not_take_is_refused_before_anything_is_written(server):
    client = server.client()
    alone = sproc("alone.lua", "-- evalsha=yes\nreturn 1")
    alone = alone._replace(source=b"#!lua flags=no-writes")  # EVAL wants a line below it
    with pytest.raises(ProblemsError) as refused:
        put(client, MOVED, alone, sproc("broken.lua", "-- evalsha=yes\nreturn +"))
    assert [one.path for one in refused.value.problems] == ["alone.lua", "broken.lua"]
    assert not client.exists(KEYS.revision)


@pytest.mark.parametrize("other", ["runasync=yes", "library=yes"])
def test_it_is_for_what_the_server_runs(other):
    with pytest.raises(ProblemsError, match="evalsha"):
        sproc("a.lua", f"-- evalsha=yes\n-- {other}\nreturn 1")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("return sproc.name", ["sproc"]),
        ("local x = require 'lib.lua'\nreturn x(sproc)", ["require", "sproc"]),
        ("local function f() return sproc.call('a.lua') end\nreturn f()", ["sproc"]),
        ("local sproc = {} return sproc.name -- require", []),
        ("local t = {sproc = 1} return t.sproc", []),
        ("return KEYS[1] .. ARGV[1]", []),
    ],
)
def test_check_finds_what_a_script_does_not_have(source, names):
    for header, wanted in (("-- evalsha=yes\n", names), ("-- evalsha=no\n", []), ("", [])):
        found = [one for one in analyse(header + source).problems if one.code == "lua.only-in-sprocs"]
        lines = Lines(header + source)
        assert [lines.slice(Range(one.line, one.column, one.end_line, one.end_column)) for one in found] == wanted


def test_under_evalsha_it_has_neither_sproc_nor_require(server):
    client = server.client()
    uses = sproc("uses.lua", "-- evalsha=yes\nreturn sproc.name")
    put(client, uses)
    assert client.fcall("luasprocs_execute", 0, "uses.lua") == b"uses.lua"
    with pytest.raises(ResponseError, match="sproc"):
        client.evalsha(uses.sha, 0)


def test_flags_of_the_first_line_count_under_evalsha(server):
    client = server.client()
    flagged = sproc("flagged.lua", "#!lua flags=no-writes\n-- evalsha=yes\nreturn redis.call('SET', KEYS[1], 1)")
    put(client, flagged)
    with pytest.raises(ResponseError):
        client.evalsha(flagged.sha, 1, "k")
    client.script_flush()
    with pytest.raises(NoScriptError):
        client.evalsha(flagged.sha, 1, "k")
