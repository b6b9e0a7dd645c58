"""Each script runs on the server, in the engine, and in a worker: what it returns or raises must be the same."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
from redis import ResponseError

from tests.live import put, sproc

SHOWING = """
local function shown(value, seen)
  local kind = type(value)
  if kind == 'string' then return (('%q'):format(value):gsub('[^ -~]', function(c) return '\\\\' .. c:byte() end)) end
  if kind == 'number' then return ('%.17g'):format(value) end
  if kind == 'function' or kind == 'userdata' then return kind end
  if kind ~= 'table' then return tostring(value) end
  if seen > 20 then return '...' end
  local keys = {}
  for key, element in next, value do keys[#keys + 1] = '[' .. shown(key, seen + 1) .. ']=' .. shown(element, seen + 1) end
  table.sort(keys)
  return '{' .. table.concat(keys, ',') .. '}'
end
local function outcome(...)
  local shows = {}
  for i = 1, select('#', ...) do shows[i] = shown((select(i, ...)), 0) end
  return table.concat(shows, ' ')
end
local outcomes = {}
local scripts = {
"""
RUNNING = """
}
for i = 1, #scripts do
  outcomes[i] = outcome(pcall(scripts[i]))
  redis.setresp(2)
end
local list = ARGV[1] and ARGV[1]:match('^list:(.*)')
if list then redis.call('RPUSH', list, unpack(outcomes)) end
return #outcomes
"""
LIBRARY = "-- library=yes\nlocal lib = {}\nfunction lib.double(x) return 2 * x end\nreturn lib"
CALLEE = "return { KEYS[1] or 'no key', ARGV[1] or 'none', #ARGV, sproc.name, sproc.trigger, false, { ok = 'fine' } }"
FAILING = "redis.call('HGET', 'string', 'f')"


def scripts() -> list[str]:
    lines = (Path(__file__).parent / "scripts" / "redis.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 120
    return lines


def source_of(lines: list[str]) -> str:
    return SHOWING + "".join(f"function() {line} end,\n" for line in lines) + RUNNING


def seed(client) -> None:
    client.delete("k", "bytes", "number")
    client.mset({"string": "v", "number": "7"})
    client.rpush("list", "a", "b", "3")
    client.hset("hash", mapping={"f": "1", "g": "2"})
    client.sadd("set", "m1", "m2")
    client.zadd("zset", {"m": 1.5, "n": 2})
    client.xadd("stream", {"f": "v"}, id="1-1")


def outcomes(client, seeded, run) -> list[str]:
    client.flushdb()
    put(client, *seeded)
    seed(client)
    run()
    return [outcome.decode() for outcome in client.lrange("outcomes", 0, -1)]


def test_scripts_end_as_on_the_server(bench):
    lines = scripts()
    source, client = source_of(lines), bench.client
    seeded = [sproc("s.lua", source), sproc("a.lua", "--runasync=yes" + source), sproc("lib.lua", LIBRARY)]
    seeded += [sproc("callee.lua", CALLEE), sproc("failing.lua", FAILING)]
    given = (("k1", "k2"), ("list:outcomes", "41"))

    def on_server() -> None:
        client.execute_command("FCALL", "luasprocs_execute", 2, *given[0], "s.lua", *given[1])

    def on_worker() -> None:
        done = bench.worker.run("a.lua", *given, generation="1")
        assert (done.status, done.reply, done.error) == ("ok", str(len(lines)), "")

    real = outcomes(client, seeded, on_server)
    worker = outcomes(client, seeded, on_worker)
    assert len(real) == len(worker) == len(lines)
    differ = {
        line: (there, here)
        for line, there, here in zip(lines, real, worker, strict=True)
        if there.replace("s.lua", "a.lua") != here
    }
    assert differ == {}, json.dumps(differ, indent=1)


RECORDED = [
    "return 'text'", "return 12.5", "return true", "return false", "return", "return {1, 'a', {2}}", "return {ok = 'FINE'}",
    "return redis.call('SET', 'k', 1)", "return {err = 'MY error'}", "return redis.error_reply('bad')", "return {a = 1}",
    "return ('x'):rep(3000)", "return {('x'):rep(3000)}", "return {{{{{{1}}}}}}", "return string.rep", "error('text')",
    "error('text', 0)", "error({err = 'MY error'})", "error({})", "error()", "error(12)", "error(true)", "local x = nil + 1",
    "redis.call('HGET', 'string', 'f')", "redis.call('NOPE')", "local function f() return f() + 1 end return f()",
    "return setmetatable({1}, {__index = error, __len = error})", "return {[1.5] = 'a'}", "return cjson.null",
    "return {1, {2, 'x'}, false, nil, 5}", "return {nil, 2}", "return {1, a = 2}",
    "local t = {} for i = 1, 99 do t[i] = i end return t",
]  # fmt: skip


PLACE = re.compile(r" script: (\S+, )?on @.*:\d+\.$")


@pytest.mark.parametrize("script", RECORDED)
def test_records_say_the_same_as_the_server_s(bench, script):
    """What the server adds of its own, `script: …`, is left out: a worker adds it where there is no place else."""
    client = bench.client
    client.set("string", "v")
    put(client, sproc("s.lua", f"\n{script}"), sproc("a.lua", f"--runasync=yes\n{script}"))
    done = bench.worker.run("a.lua", generation="1")
    with contextlib.suppress(ResponseError):
        client.execute_command("FCALL", "luasprocs_run", 0, "s.lua", "tests")
    fields = client.xrevrange("__*_Sproc_Executions_*__", count=1)[0][1]
    said = {name: fields[name.encode()].decode() for name in ("status", "reply", "error")}
    said["error"] = PLACE.sub("", said["error"].replace("s.lua", "a.lua"))
    assert {"status": done.status, "reply": done.reply, "error": PLACE.sub("", done.error)} == said


def test_a_recorded_reply_ends_at_the_first_nil_as_replies_do(bench):
    assert bench.run("return {1, {2, nil, 3}, false, nil, 5}").reply == "[1,[2],false]"


def test_errors_keep_the_file_s_own_line(bench):
    assert bench.run("\nlocal x = nil + 1").error.startswith("ERR s.lua:3: attempt to perform arithmetic")
    done = bench.run("redis.call('SET', 'k', 'v')\nredis.call('HGET', 'k', 'f')")
    assert (
        done.error == "WRONGTYPE Operation against a key holding the wrong kind of value script: worker, on @s.lua:3."
    )
    generation = bench.live(
        s="--runasync=yes\nreturn require('lib/x.lua')()", lib__x="--library=yes\nreturn function()\nerror('no') end"
    )
    assert bench.worker.run("s.lua", generation=generation).error == "ERR lib/x.lua:3: no"
