"""What a sproc sets for itself ends with its run: cjson's settings, and the order of random numbers."""

from __future__ import annotations

import threading

import pytest
from redis.exceptions import ResponseError

from tests.live import put, sproc

SETTINGS = (
    "local r = {} for _, name in ipairs{'encode_number_precision', 'encode_sparse_array', 'encode_max_depth', 'decode_max_depth',"
    " 'encode_keep_buffer', 'encode_invalid_numbers', 'decode_invalid_numbers'} do local a, b, c = cjson[name]()"
    " r[#r + 1] = name .. tostring(a) .. tostring(b) .. tostring(c) end return r"
)
CHANGES = {
    "precision": "cjson.encode_number_precision(3)",
    "sparse": "cjson.encode_sparse_array(true, 1, 1)",
    "depth": "cjson.encode_max_depth(5) cjson.decode_max_depth(5)",
    "invalid": "cjson.encode_invalid_numbers('null') cjson.decode_invalid_numbers(false)",
    "buffer": "cjson.encode_keep_buffer(false)",
    "alias": "local c = cjson c.encode_number_precision(3)",
    "made up": "cjson['encode' .. '_number_precision'](3)",
    "of globals": "_G['cj' .. 'son'].encode_number_precision(3)",
    "loaded": "loadstring('cjson.' .. 'encode_number_precision(3)')()",
}


@pytest.fixture
def settings(server):
    """Calls a sproc among others; then what all that run after it find."""
    client = server.client()

    def run(*sprocs, name="a.lua", args=()):
        put(client, sproc("settings.lua", SETTINGS), sproc("pi.lua", "return cjson.encode(3.14159265)"), *sprocs)
        before = client.execute_command("FCALL", "luasprocs_execute", 0, "settings.lua")
        assert client.execute_command("FCALL", "luasprocs_execute", 0, "pi.lua") == b"3.14159265"
        try:
            reply = client.execute_command("FCALL", "luasprocs_execute", 0, name, *args)
        except ResponseError as error:
            reply = str(error)
        assert client.execute_command("FCALL", "luasprocs_execute", 0, "settings.lua") == before
        assert client.execute_command("FCALL", "luasprocs_execute", 0, "pi.lua") == b"3.14159265"
        return reply

    run.client = client  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "end",
    ["return cjson.encode(1/3)", "error('boom')", "redis.call('GTE')", "return nothing.here", "local x = nil .. 1"],
)
def test_a_change_ends_with_its_run(settings, change, end):
    reply = settings(sproc("a.lua", f"{CHANGES[change]}\n{end}"))
    if change == "precision" and end.startswith("return cjson"):
        assert reply == b"0.333"


def test_a_change_of_a_library_ends_with_the_run(settings):
    library = sproc(
        "lib.lua",
        "-- library=yes\ncjson.encode_number_precision(3)\nreturn { pi = function() cjson.encode_number_precision(4) end }",
    )
    user = sproc("a.lua", "local lib = require('lib.lua')\nif ARGV[1] then lib.pi() end\nreturn cjson.encode(1/3)")
    assert settings(library, user) == b"0.333"
    for reply in (b"0.3333", b"0.3333"):
        assert settings.client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua", "x") == reply
        assert settings.client.execute_command("FCALL", "luasprocs_execute", 0, "pi.lua") == b"3.14159265"


def test_one_that_is_called_by_another_leaves_its_caller_alone(settings):
    inner = sproc(
        "inner.lua", "cjson.encode_number_precision(2)\nif ARGV[1] then error('x') end\nreturn cjson.encode(1/3)"
    )
    outer = sproc("a.lua", "local first = sproc.call('inner.lua')\nreturn { first, cjson.encode(1/3) }")
    assert settings(inner, outer) == [b"0.33", b"0.33333333333333"]
    both = sproc("a.lua", "cjson.encode_number_precision(4) sproc.call('inner.lua') return cjson.encode(1/3)")
    assert settings(inner, both) == b"0.3333"
    settings(inner, sproc("a.lua", "return { pcall(sproc.call, 'inner.lua', {}, { 'x' }) }"))
    settings(inner, sproc("a.lua", "return sproc.call('inner.lua', {}, { 'x' })"))


def test_a_killed_run_leaves_nothing(settings, server):
    put(
        settings.client,
        sproc("a.lua", "cjson.encode_number_precision(3) while true do end"),
        sproc("pi.lua", "return cjson.encode(3.14159265)"),
    )
    settings.client.config_set("busy-reply-threshold", 1)

    def call() -> None:
        with pytest.raises(ResponseError):
            server.client().execute_command("FCALL", "luasprocs_execute", 0, "a.lua")

    caller = threading.Thread(target=call)
    caller.start()
    killer = server.client()
    while caller.is_alive():
        try:
            killer.execute_command("FUNCTION", "KILL")
        except ResponseError:
            continue
    caller.join()
    assert settings.client.execute_command("FCALL", "luasprocs_execute", 0, "pi.lua") == b"3.14159265"


@pytest.mark.parametrize(
    "change", ["collectgarbage('setpause', 99)", "_G['collect' .. 'garbage']('setstepmul', 99) error('x')"]
)
def test_the_garbage_collectors_pace_is_put_back(settings, change):
    paces = "local p = collectgarbage('setpause', 1) local s = collectgarbage('setstepmul', 1) return { p, s }"
    put(settings.client, sproc("paces.lua", paces))
    before = settings.client.execute_command("FCALL", "luasprocs_execute", 0, "paces.lua")
    settings(sproc("paces.lua", paces), sproc("a.lua", change))
    assert settings.client.execute_command("FCALL", "luasprocs_execute", 0, "paces.lua") == before


def test_a_seed_is_nobody_else_s(server):
    client = server.client()
    put(
        client,
        sproc("seed.lua", "math.randomseed(42) return tostring(math.random())"),
        sproc("draw.lua", "return tostring(math.random())"),
    )

    def call(name):
        return client.execute_command("FCALL", "luasprocs_execute", 0, name)

    drawn = [(call("seed.lua"), call("draw.lua")) for _ in range(5)]
    assert len({seeded for seeded, _ in drawn}) == 1
    assert len({own for _, own in drawn}) == 5
