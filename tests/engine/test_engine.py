"""The engine on real servers: what a call answers, and what it refuses."""

from __future__ import annotations

import re

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import WRITE_COMMANDS
from luasprocs.engine import CHUNKS, render
from luasprocs.errors import NoSprocError, ScriptError, SprocDisabledError
from luasprocs.language.compiler import uses
from luasprocs.language.needs import Needs, Own
from luasprocs.language.sandbox import GLOBALS
from luasprocs.server import acl
from luasprocs.server.readable_errors import readable_error
from luasprocs.server.script_errors import script_error
from tests.evaluated import locals_of, upvalues_of
from tests.live import put, sproc

TRIGGER = sproc("trigger.lua", "-- event=set\n-- key=never\nreturn 1")


@pytest.fixture(params=[False, True], ids=["plain", "markers"])
def call(request, server):
    """Calls a sproc of those given; once with and once without triggers in the registry."""
    client = server.client()

    def run(name, *sprocs, keys=(), args=(), command="FCALL", function="luasprocs_execute"):
        put(client, *sprocs, *([TRIGGER] if request.param else []))
        try:
            return client.execute_command(command, function, len(keys), *keys, name, *args)
        except ResponseError as error:
            return f"{error.status_code or 'ERR'} {error}" if not str(error).startswith("ERR") else str(error)

    run.client = client  # type: ignore[attr-defined]
    return run


def test_keys_and_arguments_are_as_given(call):
    echo = sproc("echo.lua", "return {KEYS[1], KEYS[2], #KEYS, ARGV[1], ARGV[2], #ARGV, sproc.name, sproc.trigger}")
    assert call("echo.lua", echo, keys=("a", "b"), args=("c", "d")) == [
        b"a", b"b", 2, b"c", b"d", 2, b"echo.lua", b"call",
    ]  # fmt: skip


def test_an_unknown_name_is_nosproc(call):
    assert "no sproc named 'x.lua'" in call("x.lua", sproc("a.lua", "return 1"))


def test_a_disabled_sproc_says_so(call):
    assert "sproc 'a.lua' has enabled=no" in call("a.lua", sproc("a.lua", "-- enabled=no\nreturn 1"))


def test_an_error_names_the_files_own_line(call):
    answer = call("a.lua", sproc("a.lua", "-- one\nlocal x\nerror('boom')"))
    assert "a.lua:3: boom" in answer
    assert "b.lua:3" in call("b.lua", sproc("b.lua", "local x\n\nreturn x.y"))


def test_an_error_of_a_command_keeps_its_code_and_names_the_line(call):
    call.client.set("text", "x")
    answer = call("a.lua", sproc("a.lua", "\nredis.call('LPUSH', 'text', 'x')"))
    assert "Operation against a key holding the wrong kind of value" in answer
    assert "on @a.lua:2." in answer


def test_endless_recursion_ends_as_an_error(call):
    answer = call("a.lua", sproc("a.lua", "return sproc.call('a.lua')"))
    assert "stack overflow" in answer
    assert call("b.lua", sproc("b.lua", "return 'fine'")) == b"fine"


def test_require_gives_what_a_library_returned_and_runs_it_once(call):
    library = sproc(
        "lib/n.lua",
        "-- library=yes\nredis.call('INCR', 'loads')\nreturn {double = function(x) return x * 2 end}",
    )
    user = sproc("a.lua", "return require('lib/n.lua').double(tonumber(ARGV[1]))")
    assert call("a.lua", library, user, args=("4",)) == 8
    assert call.client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua", "5") == 10
    assert call.client.get("loads") == b"1"


def test_require_refuses_what_is_no_library_and_what_requires_itself(call):
    assert "not library=yes" in call("a.lua", sproc("a.lua", "require('b.lua')"), sproc("b.lua", "return 1"))
    assert "no sproc named 'c.lua'" in call("a.lua", sproc("a.lua", "local n = 'c.lua' require(n)"))
    circle = sproc("l.lua", "-- library=yes\nlocal x = require('l.lua') return x")
    assert "requires itself" in call("a.lua", circle, sproc("a.lua", "local x = require('l.lua') return x"))


def test_what_require_and_call_refuse_names_the_sprocs_line_not_the_engines(call):
    for line in (
        "local n = 'c.lua'\nrequire(n)",
        "\nsproc.call('c.lua')",
        "local n = 'c.lua'\nlocal x = require(n)\nreturn x",
    ):
        answer = call("a.lua", sproc("a.lua", line))
        assert "no sproc named 'c.lua'" in answer
        assert answer.endswith("script: luasprocs_execute, on @a.lua:2.")


def test_the_engine_uses_no_global_that_the_server_has_not():
    everything = Needs((Own("f", "a.lua"),), ("a.lua",))
    text = render(Keys(tag="luasprocs-1"), "owner", 0, needs=everything).text.split("\n", 1)[1]
    together = re.findall(r"\[===\[(.*?)\]===\]", text, re.DOTALL)[0]
    chunks = re.split(r"\n--@ .*\n", together)[1:-1]
    assert len(chunks) == len(CHUNKS)
    for chunk in (text, *chunks):
        found = uses(chunk.encode())
        assert {use.name for use in found if use.what == "read"} <= GLOBALS
        assert not [use for use in found if use.what == "write"]


def test_a_library_does_not_run_alone(call):
    assert "library=yes" in call("l.lua", sproc("l.lua", "-- library=yes\nreturn {}"))


def test_a_sproc_calls_another_in_the_same_step(call):
    inner = sproc("in.lua", "redis.call('SET', KEYS[1], ARGV[1]) return 'set ' .. sproc.name")
    outer = sproc("out.lua", "return sproc.call('in.lua', {'k'}, {'v'}) .. ' by ' .. sproc.name")
    assert call("out.lua", inner, outer) == b"set in.lua by out.lua"
    assert call.client.get("k") == b"v"


def test_globals_are_out_of_reach(call):
    assert "readonly" in call("a.lua", sproc("a.lua", "x = 1"))


def test_a_readonly_sproc_runs_by_fcall_ro_and_may_not_write(call):
    reader = sproc("r.lua", "-- readonly=yes\nreturn redis.call('GET', KEYS[1])")
    call.client.set("k", "v")
    ro = {"command": "FCALL_RO", "function": "luasprocs_execute_ro"}
    assert call("r.lua", reader, keys=("k",), **ro) == b"v"
    assert "not readonly=yes" in call("w.lua", sproc("w.lua", "return 1"), **ro)
    writer = sproc("w.lua", "-- readonly=yes\nreturn redis.call('SET', 'k', '1')")
    assert " commands are not allowed" in call("w.lua", writer, **ro)


@pytest.mark.parametrize(
    "way", ["redis.call(ARGV[1], 'k', 'x')", "server.call(ARGV[1], 'k', 'x')", "sproc.call('writes.lua')"]
)
def test_a_readonly_sproc_may_not_write_however_it_is_called(server, way):
    client = server.client()
    if "server" in way and server.kind != "valkey":
        way = way.replace("server", "redis")
    own = f"-- readonly=yes\n-- function=own_one\nlocal reply = {way}\nreturn reply"
    put(
        client,
        sproc("own.lua", own),
        sproc("writes.lua", "return redis.call('SET', 'k', 'x')"),
        sproc("enqueues.lua", "-- readonly=yes\nreturn sproc.enqueue('later.lua')"),
        sproc("later.lua", "-- runasync=yes\nreturn 1"),
        sproc("reads.lua", "-- readonly=yes\nreturn sproc.call('fixed.lua')"),
        sproc("fixed.lua", "-- readonly=yes\nreturn redis.call('GET', 'k') or 'none'"),
    )
    for call in (
        ("luasprocs_execute", 0, "own.lua", "SET"),
        ("luasprocs_run", 0, "own.lua", "me", "append"),
        ("own_one", 0, "del"),
    ):
        with pytest.raises(ResponseError):
            client.execute_command("FCALL", *call)
    with pytest.raises(ResponseError):
        client.execute_command("FCALL", "luasprocs_execute", 0, "enqueues.lua")
    assert not client.exists("k", Keys().jobs)
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "reads.lua") == b"none"


def test_what_a_readonly_sproc_may_not_is_what_the_server_calls_a_write(server):
    connection = server.client().connection_pool.get_connection()
    connection.send_command("COMMAND")
    for name, _, flags, *_ in connection.read_response():
        if flags and {b"write", b"may_replicate"} & {*flags} and b"noscript" not in flags:
            assert name.decode().lower() in WRITE_COMMANDS  # those of modules are in capitals


def test_direct_calls_are_counted(call):
    put(call.client, one := sproc("a.lua", "return 1"))
    for _ in range(3):
        call.client.execute_command("FCALL", "luasprocs_execute", 0, one.name)
    assert call.client.execute_command("FCALL", "luasprocs_flush", 0) == 3
    assert call.client.hget(Keys().stats("a.lua"), "calls") == b"3"


def test_an_apply_loses_no_count(call):
    put(call.client, sproc("a.lua", "return 1"))
    call.client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua")
    put(call.client, sproc("a.lua", "return 2"))
    assert call.client.hget(Keys().stats("a.lua"), "calls") == b"1"


def test_a_recorded_run_is_in_the_stream_whether_it_went_well_or_not(call):
    put(call.client, sproc("a.lua", "if ARGV[1] then error('no') end return {1, 'two'}"))
    run = ("FCALL", "luasprocs_run", 0, "a.lua", "me@here")
    assert call.client.execute_command(*run) == [1, b"two"]
    with pytest.raises(ResponseError, match="no"):
        call.client.execute_command(*run, "fail")
    good, bad = (fields for _, fields in call.client.xrange(Keys().executions))
    assert (good[b"status"], good[b"reply"], good[b"origin"], good[b"trigger"]) == (
        b"ok",
        b'[1,"two"]',
        b"me@here",
        b"call",
    )
    assert bad[b"status"] == b"error"
    assert b"a.lua:1: no" in bad[b"error"]
    stats = call.client.hgetall(Keys().stats("a.lua"))
    assert (stats[b"runs"], stats[b"errors"]) == (b"2", b"1")


def test_names_with_anything_printable_run(call):
    for name in ("a b.lua", "quo'te\".lua", "glob*[x]?.lua", "emoji 🎉.lua", "{tag}/x.lua", "%.lua"):
        assert call(name, sproc(name, "return sproc.name")) == name.encode()


def test_two_namespaces_live_side_by_side(server):
    client = server.client()
    for namespace, answer in (("", b"none"), ("shop", b"shop"), ("{tag}", b"tag")):
        put(client, sproc("a.lua", f"return '{answer.decode()}'"), keys=Keys(namespace))
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua") == b"none"
    assert client.execute_command("FCALL", "shop_luasprocs_execute", 0, "a.lua") == b"shop"
    assert client.execute_command("FCALL", "tag_luasprocs_execute", 0, "a.lua") == b"tag"
    assert client.lrange("shop:__*_Sproc_List_*__", 0, -1) == [b"a.lua"]


def heard(listener):
    """Messages until a PING's answer, which is behind all that was published before."""
    listener.ping()
    found = []
    while (message := listener.get_message(timeout=5))["type"] != "pong":
        found.append(message["data"].partition(b" ")[2])  # behind the engine's secret
    return found


@pytest.mark.parametrize(
    ("header", "triggers", "marked"),
    [
        ("-- event=set\n-- key=k\n", True, True),
        ("-- event=set\n-- key=k\n-- reentrant=yes\n", True, False),
        ("", True, False),
        ("", False, False),
    ],
    ids=["bound", "reentrant", "unbound", "no-triggers"],
)
def test_a_direct_call_has_markers_only_if_its_sproc_could_trigger_itself(server, header, triggers, marked):
    client = server.client()
    put(client, sproc("a.lua", f"{header}error('x')"), *([TRIGGER] if triggers else []))
    listener = server.client().pubsub()
    listener.subscribe(Keys().markers)
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    with pytest.raises(ResponseError):
        client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua")
    assert heard(listener) == ([b"begin 0 0 - a.lua", b"end"] if marked else [])
    listener.close()


def test_the_same_registry_gives_the_same_engine():
    assert render(Keys("shop"), "me", 0) == render(Keys("shop"), "me", 0)
    assert render(Keys("shop"), "me", 0).id != render(Keys("shop"), "me", 1).id


def test_errors_are_read_as_code_place_message():
    assert readable_error("ERR a.lua:3: boom script: luasprocs_execute, on @a.lua:3.") == "ERR a.lua:3: boom"
    assert readable_error("WRONGTYPE bad kind script: on @a b.lua:2.") == "WRONGTYPE a b.lua:2: bad kind"
    assert isinstance(script_error(ResponseError("NOSPROC no sproc named 'x'")), NoSprocError)
    assert isinstance(script_error(ResponseError("DISABLED sproc 'x' has enabled=no")), SprocDisabledError)
    assert type(script_error(ResponseError("ERR x.lua:1: y"))) is ScriptError


def test_a_user_who_may_not_record_is_told_before_anything_runs(server):
    client = server.client()
    put(client, sproc("a.lua", "return redis.call('INCR', KEYS[1])"))
    rule = (*acl.rule("caller", Keys(), own_keys=("app:*",)), ">secret")
    client.execute_command("ACL", "SETUSER", "app", *rule)
    app = server.client(username="app", password="secret")
    with pytest.raises(ResponseError, match="NORECORD"):
        app.execute_command("FCALL", "luasprocs_run", 1, "app:n", "a.lua", "me")
    assert client.get("app:n") is None
    assert app.execute_command("FCALL", "luasprocs_execute", 1, "app:n", "a.lua") == 1


def test_a_source_that_uses_varargs_or_ends_in_a_comment_runs(call):
    assert call("a.lua", sproc("a.lua", "return select('#', ...) -- the end")) == 5
    assert call("b.lua", sproc("b.lua", "return 1 -- the end")) == 1


@pytest.mark.parametrize("name", ["tonumber", "math", "cjson"])
def test_what_a_sproc_assigns_does_not_live_on(call, name):
    for source in (f"{name} = 5 return 1", f"function {name} () end return 1", f"local a a, {name} = 1, 2 return 1"):
        changes = sproc("a.lua", source)
        assert "Attempt to modify a readonly table" in call("a.lua", changes)
    local = sproc("b.lua", f"local {name}, b = 7, 8 return {name}")
    assert call("b.lua", local) == 7


def test_a_handed_over_name_is_fresh_in_each_call(call):
    forgets = sproc("a.lua", "local was = redis.sha1hex('x') redis = nil sproc = nil return was")
    first = call("a.lua", forgets)
    assert call.client.fcall("luasprocs_execute", 0, "a.lua") == first


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("{1, 2}", "unknown error"),
        ("setmetatable({}, {__tostring = function() error({}) end})", "unknown error"),
        ("math.floor", "function: "),
        ("{}", "unknown error"),
        ("nil", "nil"),
        ("false", "false"),
    ],
)
def test_an_error_of_any_type_is_an_error_reply(call, what, said):
    """redis-server 7.0 crashes where a table without `err` reaches it."""
    assert said in call("a.lua", sproc("a.lua", f"error({what})"))
    assert said in call("c.lua", sproc("c.lua", "return sproc.call('a.lua')"), sproc("a.lua", f"error({what})"))
    only = sproc("r.lua", f"-- readonly=yes\nerror({what})")
    assert said in call("r.lua", only, command="FCALL_RO", function="luasprocs_execute_ro")
    assert call.client.ping()


def test_a_comment_does_not_hide_an_assignment(call):
    for source in (
        "local n = tostring(1) tostring --[[x]] = nil return n",
        "local n = math.pi math -- x\n = 5 return n",
    ):
        changes = sproc("a.lua", source)
        assert "Attempt to modify a readonly table" in call("a.lua", changes)
        with pytest.raises(ResponseError, match="readonly table"):
            call.client.fcall("luasprocs_execute", 0, "a.lua")


def test_a_first_call_from_another_db_changes_nothing(server):
    client = server.client()
    put(client, sproc("a.lua", "return 1"), TRIGGER)
    dump = client.execute_command("FUNCTION", "DUMP")
    client.execute_command("FUNCTION", "FLUSH")
    client.execute_command("FUNCTION", "RESTORE", dump)
    other = server.client(db=1)
    with pytest.raises(ResponseError, match="serves the registry of db 0"):
        other.fcall("luasprocs_execute", 0, "a.lua")
    assert client.fcall("luasprocs_execute", 0, "a.lua") == 1
    assert client.execute_command("FCALL_RO", "luasprocs_about", 0)[5] == b"1"


def test_what_does_nothing_under_eval_does_nothing_here(call):
    names = "redis.replicate_commands(), redis.breakpoint(), redis.debug('x') == nil"
    body = f"return {{ {names}, #KEYS, redis.call('ECHO', 'x'), redis.REPL_ALL }}"
    assert call("a.lua", sproc("a.lua", body), keys=("k",)) == call.client.eval(body, 1, "k")
    library = sproc("lib.lua", f"-- library=yes\nreturn function() {body} end")
    assert call("a.lua", sproc("a.lua", "return require('lib.lua')()"), library)[0] == 1
    written = "redis.debug() redis.x = 1"
    assert "a.lua:1: Attempt to modify a readonly table" in call("a.lua", sproc("a.lua", written))
    there = call.client.eval("return pcall(function() return server end) and 1 or 0", 0)
    body = "server.replicate_commands() return server.call('ECHO', 'x')"
    assert not there or call("a.lua", sproc("a.lua", body)) == b"x"


ROOM = [locals_of(196), locals_of(200), upvalues_of(57), upvalues_of(58)]


@pytest.mark.parametrize("source", ROOM, ids=["196 locals", "200 locals", "57 upvalues", "58 upvalues"])
def test_a_source_has_as_much_room_as_under_eval(call, source):
    got = call("a.lua", sproc("a.lua", source.decode()), keys=("k",), args=("a", "b"))
    assert got == call.client.eval(source, 1, "k", "a", "b")
    body = b"-- library=yes\n" + source.replace(b"return f()", b"return tonumber(f()) + 1")
    assert call("a.lua", sproc("a.lua", "return require('lib.lua') + 0"), sproc("lib.lua", body.decode())) in {
        195,
        199,
        1,
    }


def test_a_first_line_of_a_script_is_a_header(call):
    reads = sproc("a.lua", "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])")
    call.client.set("k", "v")
    assert call("a.lua", reads, keys=("k",), command="FCALL_RO", function="luasprocs_execute_ro") == b"v"
    assert "b.lua:2: boom" in call("b.lua", sproc("b.lua", "#!lua\nerror('boom')"))
    library = sproc("lib.lua", "#!lua\n-- library=yes\nreturn 7")
    assert call("c.lua", sproc("c.lua", "#!lua\nreturn select('#', ...) + require('lib.lua')"), library) == 12
