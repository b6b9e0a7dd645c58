"""What the engine holds: the server's garbage collector goes through all that is compiled, at the expense of every call."""

from __future__ import annotations

import re

import pytest
from lupa import lua51

from luasprocs.contract.keys import Keys
from luasprocs.engine import render
from tests.live import put, sproc

COMPILED_LIMIT_BYTES = 12 * 1024
"""At load; it was 23 kB when the engine was three parts."""
HELD_LIMIT_BYTES = {"loaded": 137 * 1024, "used": 380 * 1024}
"""Of the server's Lua, text included: after a load, and when daemons have called all functions.

It was 106 kB and 291 kB, before sprocs' settings of cjson were put back and arguments checked, and 127 kB and 355 kB, before
runs were counted by the minute.
"""

STUB = b"redis = { register_function = function(a, b) kept = kept or {}; kept[#kept + 1] = b or a.callback end }"
HELD = b"function() collectgarbage('collect') collectgarbage('collect') return collectgarbage('count') * 1024 end"
LOAD = b"function(text) assert(loadstring(text, '@x'))() end"


def test_little_is_compiled_when_the_engine_is_loaded():
    text = render(Keys(), "tests", 0).text.split("\n", 1)[1]
    later = sum(map(len, re.findall(r"\[===\[(.*?)\]===\]", text, re.DOTALL)))
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    runtime.execute(STUB)
    held = runtime.eval(HELD)
    before = held()
    runtime.eval(LOAD)(text.encode())
    assert held() - before - later < COMPILED_LIMIT_BYTES


def test_the_server_holds_no_more_than_it_did(server):
    client = server.client()

    def held():
        info = client.info("memory")
        if "used_memory_vm_functions" not in info:
            pytest.skip("this server doesn't say what its functions hold")
        return info["used_memory_vm_functions"]

    def settle():
        for _ in range(2):
            client.execute_command("FCALL", "luasprocs_execute", 1, "k", "a.lua")

    before = held()
    put(client, sproc("a.lua", "collectgarbage() return redis.call('INCR', KEYS[1])"))
    settle()
    found = {"loaded": held() - before}
    calls = (
        *(("tick", 250, 1), ("bound",), ("schedules",), ("take", "d", 5, 0), ("due",), ("cron", "record")),
        *(("dispatch", *["x"] * 4, *[1] * 6), ("job", "drop", "")),
    )
    for name, *arguments in calls:
        client.execute_command("FCALL", f"luasprocs_{name}", 0, *arguments)
    settle()
    found["used"] = held() - before
    assert all(found[when] < limit for when, limit in HELD_LIMIT_BYTES.items()), found
