"""cjson, cmsgpack, bit and struct of a worker, beside those of both servers: chosen scripts, and what differs on purpose."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lupa import lua51

from luasprocs.worker.libs import install
from tests.worker.agreement import differences, on_server, on_worker, runtime_of_a_job


def scripts_of(name: str) -> list[bytes]:
    """One script a line of scripts/<name>.txt; a line without `return` is a list of expressions."""
    lines = (Path(__file__).parent / "scripts" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    expressions = "local function results(...) return ... end return results({})"
    return [(line if "return" in line else expressions.format(line)).encode() for line in lines]


@pytest.mark.parametrize("library", ["cjson", "cmsgpack", "bit", "struct"])
def test_scripts_end_as_on_a_server(server, library):
    scripts = scripts_of(library)
    assert len(scripts) > 50
    assert not [outcome for outcome in on_worker(scripts) if "does not compile" in outcome]
    assert differences(server, scripts) == {}


def test_the_error_of_a_tail_call_has_no_line(server):
    script = b"return cjson.encode(string.rep)"
    (worker,), (real,) = on_worker([script]), on_server(server, [script])
    assert worker == 'false "Cannot serialise function: type not supported"'
    assert real == worker.replace("Cannot", "user_script:1: Cannot")


def test_what_a_job_does_not_use_costs_little():
    install(runtime_of_a_job())  # compiles
    took_us = []
    for _ in range(50):
        runtime = runtime_of_a_job()
        start = time.perf_counter()
        install(runtime)
        took_us.append((time.perf_counter() - start) * 1e6)
    assert min(took_us) < 500


def test_a_runtime_has_its_own_libraries():
    first, second = runtime_of_a_job(), runtime_of_a_job()
    install(first)
    first.execute(b"cjson.encode_max_depth(1) bit.band = nil")
    install(second)
    assert second.execute(b"return cjson.encode_max_depth(), bit.band(3, 1)") == (1000, 1)


def test_require_gives_the_globals():
    runtime = runtime_of_a_job()
    install(runtime)
    for name in (b"cjson", b"cmsgpack", b"bit", b"struct"):
        assert runtime.execute(b"local name = ... return require(name) == _G[name]", name)


def test_they_work_where_the_globals_are_gone():
    runtime = runtime_of_a_job()
    install(runtime)
    runtime.execute(b"""
      for name in pairs(_G) do
        if not ({ cjson = 1, cmsgpack = 1, bit = 1, struct = 1, _G = 1 })[name] then _G[name] = nil end
      end""")
    script = rb"""return cjson.encode(cjson.decode('[1,"\\u00e9"]')), cmsgpack.unpack(cmsgpack.pack(1.5)), bit.tohex(255),
      struct.unpack('d', struct.pack('d', 0.1))"""
    assert runtime.execute(script) == (b'[1,"\xc3\xa9"]', 1.5, b"000000ff", 0.1, 9)


def test_nothing_of_python_can_be_reached_from_them():
    runtime = runtime_of_a_job()
    install(runtime)
    runtime.execute(b"python = nil package.loaded.python = nil for name in pairs(_G) do package.loaded[name] = nil end")
    # every value that leads anywhere: tables, metatables, upvalues and environments of functions
    found = runtime.execute(b"""
      local seen, userdata, functions = {}, {}, 0
      local function walk(value)
        local kind = type(value)
        if kind == 'userdata' then userdata[value] = true end
        if kind ~= 'table' and kind ~= 'function' or seen[value] then return end
        seen[value] = true
        local metatable = debug.getmetatable(value)
        if metatable then walk(metatable) end
        if kind == 'table' then
          for key, element in next, value do walk(key) walk(element) end
        else
          functions = functions + 1
          for at = 1, math.huge do
            local name, upvalue = debug.getupvalue(value, at)
            if not name then break end
            walk(upvalue)
          end
          local environment = debug.getfenv(value)
          if environment ~= _G then walk(environment) end
        end
      end
      local null = cjson.null
      for _, library in pairs({ cjson, cmsgpack, bit, struct }) do
        local _ = library.pack
        walk(library)
      end
      local others = 0
      for value in pairs(userdata) do if value ~= null then others = others + 1 end end
      return userdata[null], others, functions""")
    assert found[0] is True
    assert found[1] == 0
    assert found[2] > 50


def test_running_out_of_memory_is_no_error_of_json():
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False, max_memory=8_000_000)
    install(runtime)
    for script in (b"return cjson.encode(t)", b"return cmsgpack.pack(t)"):
        with pytest.raises(lua51.LuaMemoryError):
            runtime.execute(b"local s, t = ('x'):rep(100000), {} for i = 1, 1000 do t[i] = s end " + script)
    assert runtime.execute(b"return cjson.encode({1})") == b"[1]"


def test_tables_have_their_keys_in_the_order_of_redis(server):
    scripts = scripts_of("order")
    if server.kind == "redis":
        assert differences(server, scripts) == {}
    else:  # Valkey hashes strings otherwise: the same keys in another order
        worker, real = on_worker(scripts), on_server(server, scripts)
        assert worker != real
        assert len(worker[0]) == len(real[0])
        assert sorted(worker[-1]) == sorted(real[-1])
