"""Async sprocs, by a hook in Lua, on the throw-away server."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.sync.debugger.client import Client, Refused

LIBRARY = """-- description=x
-- library=yes
local M = { count = 0 }
local suffix = ' in all'
function M.add(amount)
  M.count = M.count + amount
  return M.count .. suffix
end
return M
"""
JOB = """-- description=x
-- runasync=yes
local m = require('lib/m.lua')
local total = 0
for i = 1, 10000 do
  total = total + i
end
print('so far', total)
redis.call('SET', 'total', total)
local text = m.add(3)
local none = nil
return none.field
"""


@pytest.fixture
def job(tree) -> str:
    (tree / "lib" / "m.lua").write_text(LIBRARY)
    (tree / "job.lua").write_text(JOB)
    return "job.lua"


def test_it_stops_steps_and_sets(job, debug):
    client = debug(job, stops={"lib/m.lua": [6], job: [{"line": 6, "condition": "i == 9000"}]}, stopOnEntry=True)
    assert client.stopped() == "entry job.lua:3"
    assert client.step("next") == "step job.lua:4"
    assert client.step("continue") == "breakpoint job.lua:6"
    assert client.variables()["i"] == "9000"
    assert client.step("continue") == "breakpoint m.lua:6"
    assert client.where() == ["m.lua:6", "job.lua:10"]
    assert client.variables() == {"amount": "3"}
    assert client.variables("Upvalues")["M"]["count"] == "0"
    client.evaluate("amount = 40 + 2", "repl")
    for code in ("amount = 7", "M.count = 7"):
        with pytest.raises(Refused, match="no expression"):
            client.evaluate(code, "hover")
    client.evaluate("(function() amount = 7 end)()")
    assert client.evaluate("'=' .. amount, M.count") == '"=42", 0'
    assert client.evaluate("M = { count = 1, add = M.add }", "repl") == "nil"
    assert client.evaluate("GET total", "repl") == "50005000"
    assert client.step("stepOut") == "step job.lua:11"
    assert client.variables()["text"] == "43 in all"
    assert client.step("continue") == "exception job.lua:12"
    assert "none" in client.ask("exceptionInfo", threadId=1)["description"]
    assert client.step("continue") == "exited 1"
    assert "so far\t50005000" in client.said


def test_a_loop_is_stepped_over_at_full_speed(job, debug):
    client = debug(job, stops={job: [5]})
    assert client.stopped() == "breakpoint job.lua:5"
    client.ask(
        "setBreakpoints",
        source=client.ask("stackTrace", threadId=1)["stackFrames"][0]["source"],
        breakpoints=[{"line": 9}],
    )
    began = time.perf_counter()
    assert client.step("continue") == "breakpoint job.lua:9"
    assert time.perf_counter() - began < 1


def test_one_that_never_ends_is_paused_and_stopped(tree, debug):
    (tree / "endless.lua").write_text("-- runasync=yes\nlocal n = 0\nwhile true do\n  n = n + 1\nend\n")
    client = debug("endless.lua")
    source = {"path": str(tree / "endless.lua")}
    (found,) = client.ask("setBreakpoints", source=source, breakpoints=[{"line": 4}])["breakpoints"]
    assert client.event("breakpoint")["breakpoint"] == {
        "id": found["id"],
        "verified": True,
        "line": 4,
        "source": source,
    }
    assert client.stopped() == "breakpoint endless.lua:4"
    client.ask("setBreakpoints", source=source, breakpoints=[])
    client.ask("continue", threadId=1)
    client.ask("pause", threadId=1)
    assert client.stopped().startswith("pause endless.lua:")
    client.ask("continue", threadId=1)
    began = time.perf_counter()
    client.ask("terminate")
    assert client.event("exited")["exitCode"] == 1
    client.hang_up()
    client.process.wait(10)
    assert time.perf_counter() - began < 3


def test_an_event_gives_what_the_engine_gives(tree, debug):
    (tree / "event.lua").write_text("-- runasync=yes\n-- event=set\n-- key=file*\nreturn KEYS[1] .. ARGV[1]\n")
    client = debug("event.lua", stops={"event.lua": [4]})
    assert client.stopped() == "breakpoint event.lua:4"
    found = client.variables("Arguments")
    assert found == {"KEYS": {"1": "file1"}, "ARGV": {"1": "example", "2": "set", "3": "string"}}


def test_it_runs_on_no_server_of_others(job, debug, server):
    with pytest.raises(Refused):
        debug(job, redis=server.url)


@pytest.mark.wording
def test_its_files_are_those_of_the_workers_folder(tree):
    (tree / "writes.lua").write_text(
        "-- runasync=yes\nlocal f = assert(io.open('made.txt', 'w'))\nf:write('x')\nf:close()\nreturn require('own').value\n"
    )
    (tree.parent / "own.lua").write_text("return { value = 7 }\n")
    config = ["git", "-C", str(tree.parent), "config"]
    subprocess.run([*config, "luasprocs.files", "work"], check=True)
    subprocess.run([*config, "luasprocs.luaPath", str(tree.parent / "?.lua")], check=True)
    with Client(tree) as client:
        client.launch(Path("writes.lua"), stops={tree / "writes.lua": [5]})
        assert client.stopped() == "breakpoint writes.lua:5"
        frame = client.ask("stackTrace", threadId=1)["stackFrames"][0]
        assert frame["source"]["path"] == str(tree / "writes.lua")
        assert (tree.parent / "work" / "made.txt").read_text() == "x"
        assert client.step("continue") == "exited 0"
        assert "reply: 7" in client.said
