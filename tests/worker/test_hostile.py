"""Jobs that would harm the machine or the daemon: contained, and what happened is told."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from luasprocs.worker.lua import is_plain
from tests.paths import ROOT
from tests.until import PATIENCE_S
from tests.worker.harness import EndedError

MB = 1 << 20


def memory_of(pid: int) -> int:
    """Bytes that a process has in memory at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def resident_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def works(bench) -> None:
    """The same process runs the next job as if nothing had been."""
    done = bench.run("return redis.call('ECHO', 'fine')")
    assert (done.status, done.reply, done.error) == ("ok", "fine", "")


def test_one_that_never_ends_can_be_killed_and_another_worker_goes_on(bench):
    bench.live(s="--runasync=yes\nwhile true do pcall(string.rep, 'x', 10) end")
    job = bench.worker.send_job("s.lua")
    with pytest.raises(TimeoutError):
        bench.worker.read(0.3)
    os.kill(bench.worker.pid, signal.SIGKILL)
    with pytest.raises(EndedError) as ended:
        bench.worker.read()
    assert ended.value.args[0] == -signal.SIGKILL
    assert job == "job-1"
    bench.start()
    works(bench)


@pytest.mark.parametrize("source", [
    "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "local s = 'x' while true do s = s .. s end",
    "return ('x'):rep(1e9)",
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "local t = {} while true do t[#t + 1] = redis.call('ECHO', ('x'):rep(100000) .. #t) end",
])  # fmt: skip
def test_one_that_eats_memory_hears_no(bench, source):
    done = bench.run(source, memory_bytes=16 * MB)
    assert done.status == "error"
    assert done.error.startswith("ERR not enough memory")
    assert memory_of(bench.worker.pid) < 200 * MB
    works(bench)


@pytest.mark.parametrize("call", ["redis.call('DEL', unpack(a))", "sproc.call('x', a, a)", "sproc.enqueue('x', a, a)"])
def test_one_that_sends_a_string_a_thousand_times(bench, call):
    """Lua has it once; Python would have a copy of each."""
    done = bench.run(f"local s, a = ('x'):rep(1e6), {{}} for i = 1, 5000 do a[i] = s end return {call}")
    assert done.status == "error"
    assert done.error.startswith("ERR not enough memory")
    assert memory_of(bench.worker.pid) < 200 * MB
    works(bench)


def test_garbage_is_collected_within_the_memory_of_a_job(bench):
    assert bench.run("for i = 1, 1e5 do local s = ('x'):rep(1000) .. i end return 1", memory_bytes=8 * MB).reply == "1"
    echo = "for i = 1, 500 do redis.call('ECHO', ('x'):rep(100000)) end return 1"
    assert bench.run(echo, memory_bytes=3 * MB).reply == "1"


def test_no_memory_is_too_little_to_say_so(bench):
    for memory_bytes in (0, 1000, 20_000, 100_000):
        done = bench.run("local t = {} while true do t[#t + 1] = ('x'):rep(10) .. #t end", memory_bytes=memory_bytes)
        assert done.error.startswith("ERR not enough memory")
    works(bench)


def test_a_reply_that_is_larger_than_its_memory_is_not_read(bench):
    bench.client.set("large", b"x" * (20 * MB))
    done = bench.run("return redis.call('GET', 'large')", memory_bytes=16 * MB)
    assert done.status == "error"
    assert done.error.startswith("ERR not enough memory: the reply is larger than memory=16777216")
    works(bench)


def test_many_small_parts_of_a_reply_count(bench):
    bench.client.rpush("long", *range(100_000))
    bench.client.rpush("long", *range(100_000))
    done = bench.run("return #redis.call('LRANGE', 'long', 0, -1)", memory_bytes=2 * MB)
    assert done.status == "error"
    assert "memory" in done.error
    assert bench.run("return #redis.call('LRANGE', 'long', 0, -1)").reply == "200000"
    works(bench)


def test_one_that_returns_100_mb(bench):
    done = bench.run("return ('x'):rep(100e6)", memory_bytes=600 * MB)
    assert done.status == "ok"
    assert done.reply == "x" * 1024 + "… (100000000 bytes)"
    assert bench.run("return ('x'):rep(100e6)").status == "error"
    works(bench)


@pytest.mark.parametrize(
    "source", ["os.execute('true')", "io.popen('true')", "local x = os.execute return x(':(){ :|:& };:')"]
)
def test_one_that_forks_can_t(bench, source):
    done = bench.run(source)
    assert done.status == "denied"
    assert "setting `allow` has no exec" in done.error
    works(bench)


def test_no_process_can_be_started_even_past_lua(bench):
    """The limit of processes, which root passes, and no right to run any program."""
    limits = Path(f"/proc/{bench.worker.pid}/limits").read_text()
    assert [line.split()[2:4] for line in limits.splitlines() if line.startswith("Max processes")] == [["0", "0"]]


def test_one_that_opens_10000_files(bench):
    source = """local files, failed = {}, nil
    for i = 1, 10000 do
      local file, problem = io.open('f' .. i, 'w')
      if not file then failed = i .. ' ' .. problem break end
      files[i] = file
    end
    return failed"""
    done = bench.run(source)
    assert done.status == "denied"
    assert 100 < int(done.reply.split()[0]) < 256
    assert "Too many open files" in done.error
    works(bench)


def test_one_that_writes_1_gb_gets_no_further_than_a_file_may(bench, folder):
    source = """local file = io.open('big', 'w')
    local piece = ('x'):rep(1e6)
    for _ = 1, 1000 do file:write(piece) end
    file:close()"""
    done = bench.run(source)
    size = (folder / "big").stat().st_size
    (folder / "big").unlink()
    assert done.status == "denied"
    assert "beyond the size that a file may have" in done.error
    assert size <= 512 * MB
    works(bench)


def test_one_that_prints_for_ever_fills_nothing(bench):
    bench.live(s="--runasync=yes\nwhile true do print(('x'):rep(1000)) io.stderr:write('y') end")
    bench.worker.send_job("s.lua")
    with pytest.raises(TimeoutError):
        bench.worker.read(0.5)
    assert memory_of(bench.worker.pid) < 100 * MB
    bench.worker.process.kill()
    assert bench.worker.process.wait(60) == -signal.SIGKILL
    assert bench.worker.stderr() == ""


def test_what_one_prints_is_its_reply_where_it_returns_nothing(bench):
    assert bench.run("print('a', 1) io.write('b') redis.log(redis.LOG_NOTICE, 'c\\0d')").reply == "a\t1\nbc\0d\n"
    assert bench.run("print(('x'):rep(200000))").reply.startswith("x" * 1024 + "… (")
    assert bench.run("print('a') return 'b'").reply == "b"
    assert bench.run("return false").reply == ""
    assert bench.run("io.stderr:write('said') io.stdout:setvbuf('no') io.write('more')").reply == "saidmore"


@pytest.mark.parametrize(("raised", "text"), [
    ("io.stdout", "ERR file (0x"),
    ("cjson.null", "ERR userdata: "),
    ("string.rep", "ERR function: "),
    ("coroutine.create(function() end)", "ERR thread: 0x"),
    ("setmetatable({}, {__tostring = error, __index = error})", "ERR unknown error"),
    ("('x'):rep(1e6)", "ERR " + "x" * 1020 + "… (1000004 bytes)"),
])  # fmt: skip
def test_one_that_raises_anything(bench, raised, text):
    done = bench.run(f"error({raised}, 0)")
    assert done.status == "error"
    assert done.error.removesuffix(" script: worker, on @s.lua:2.").startswith(text)
    works(bench)


@pytest.mark.parametrize("source", [
    "local function f() return 1 + f() end f()",
    "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
    "local co co = coroutine.wrap(function() return co() end) return co()",
    "local function f() return coroutine.wrap(f)() end f()",
    "string.gsub('x', 'x', function() error() end)",
    "local t = {} t[1] = t return require('lib.lua')(t)",
    "return string.format('%99999d', 1)",
    "setfenv(1, {}) return x.y",
    "os.exit(0)",
    "collectgarbage('stop') for i = 1, 1e6 do local t = {i} end error('x')",
])  # fmt: skip
def test_one_that_breaks_lua(bench, source):
    assert bench.run(source).status in {"error", "denied"}
    works(bench)


def test_tables_in_tables_and_cycles_have_a_text(bench):
    assert bench.run("local t = {} t.t = t return t").status == "ok"
    assert bench.run("local t = {} for i = 1, 1e5 do t = {t} end return t").status == "ok"


@pytest.mark.parametrize("source", [
    "return loadstring(string.dump(function() return 1 end))()",
    "return load(function() return string.dump(function() return 1 end) end)()",
    "return select(2, load(function() return '\\27Lua' end))",
    "string.byte = function() return 0 end return loadstring(string.dump(function() end))()",
    "getmetatable('').__index = { byte = function() return 0 end } return loadstring(string.dump(function() end))()",
    "local f = io.open('b', 'w') f:write(string.dump(function() end)) f:close() return loadfile('b')()",
    "local f = io.open('b', 'w') f:write(string.dump(function() end)) f:close() return dofile('b')",
])  # fmt: skip
def test_bytecode_is_not_loaded(bench, source):
    done = bench.run(source)
    assert done.status == "denied"
    assert "bytecode is not loaded" in done.error
    works(bench)


def test_nothing_of_python_or_of_the_host_is_in_reach(bench):
    reach = """
    local seen, found = {}, {}
    local function walk(value, path)
      local kind = type(value)
      local known = kind ~= 'userdata' or io.type(value) or value == cjson.null
      if not known then found[#found + 1] = path .. ' ' .. tostring(value) end
      if kind ~= 'table' and kind ~= 'function' then return end
      if seen[value] then return end
      seen[value] = true
      if kind == 'function' then
        local ok, env = pcall(getfenv, value)
        if ok then walk(env, path .. '{env}') end
        return
      end
      for key, part in next, value do walk(part, path .. '.' .. tostring(key)) end
      local meta = getmetatable(value)
      if type(meta) == 'table' then walk(meta, path .. '{meta}') end
    end
    walk(_G, 'G') walk(sproc, 'sproc') walk(redis, 'redis') walk(package.loaded, 'loaded') walk(require, 'require')
    for level = 0, 20 do walk(debug.getinfo(level), 'level' .. level) end
    walk({ xpcall(function() error({}) end, function(e) return { e, debug.getinfo(2), debug.getinfo(1, 'f') } end) }, 'handler')
    return #found == 0 and 'nothing' or table.concat(found, ', ')
    """
    assert bench.run(reach).reply == "nothing"
    gone = "{ python, newproxy, package.loaded.python, debug.getupvalue, debug.sethook, debug.getregistry, package.loadlib }"
    assert bench.run(f"return #{gone} .. tostring(next({gone}))").reply == "0nil"
    names = "local t = {} for k in pairs(debug) do t[#t + 1] = k end table.sort(t) return t"
    assert bench.run(names).reply == '["getinfo","traceback"]'
    assert bench.run("return tostring(getmetatable(io.stdout))").reply == "false"


def test_a_job_leaves_nothing_for_the_next(bench):
    bench.run("x = 1 string.rep = nil table.insert = error redis.call = nil cjson.encode = nil package.loaded.y = 1 "
              "io.output('out') io.write('z') os.setlocale('de_DE.UTF-8') setmetatable(_G, {__index = error}) "
              "redis.setresp(3)")  # fmt: skip
    done = bench.run("return {tostring(x), type(string.rep), type(redis.call), type(cjson.encode), tostring(package.loaded.y), "
                     "io.output() == io.stdout, #redis.call('HGETALL', 'none')}")  # fmt: skip
    assert done.reply == '["nil","function","function","function","nil",true,0]'


LEFT_BEHIND = (
    "x = 1 KEYS.x = 1 ARGV.x = 1 sproc.x = 1 sproc.name = 'y'",
    "string.rep = nil table.insert = error math.floor = nil coroutine.wrap = nil os.time = nil io.open = error",
    "setmetatable(string, { __index = error }) setmetatable(math, { __newindex = error })",
    "for name in pairs(string) do string[name] = nil end",
    "getmetatable('').__index = nil getmetatable('').__add = error getmetatable('').__metatable = false",
    "redis.call = nil redis.pcall = error redis.setresp(3) redis = nil",
    "cjson.encode = nil cjson.encode_max_depth(1) cmsgpack.pack = nil bit.band = error struct = nil",
    "io.output('out') io.write('z') io.input('out')",
    "print, tostring, pcall, error, type, unpack, next, rawget, xpcall = nil",
    "collectgarbage('stop') collectgarbage('setpause', 100000)",
    "sproc.file = io.open('out', 'w') KEYS.file = io.open('out', 'w')",
    "coroutine.wrap(function() x = 1 coroutine.yield() end)()",
    "error({ err = 'X y' })",
    "error(setmetatable({}, { __tostring = error }))",
    "local all = {} while true do all[#all + 1] = ('x'):rep(1e5) .. #all end",
    "local function deeper() return 1 + deeper() end deeper()",
    "return setmetatable({}, { __index = error, __metatable = 1 })",
    "io.stdout.__index.x = 1",
    "io.stdout.__index.write = function() end",
    "io.stdout.__index.__gc = function() error('no') end",
    "io.stdout.__index.__gc = nil for i = 1, 150 do io.open('f' .. i, 'w') end",
    "string.sub = function() return '+' end return #struct.pack('b', 1)",
    "string.sub, string.format, string.byte, string.find, string.gsub = error return { ('x'):rep(2000) }",
    "string.sub = function() return {} end return ('x'):rep(2000)",
    "for i = 1, 100 do io.output(i) end",
    "for a = 0, 255 do for b = 0, 127 do bit.band(a, b) end end",
    "return { [setmetatable({}, { __tostring = function() return redis.sha1hex('') end })] = 1 }",
)
FOUND = """return {
    tostring(x), tostring(KEYS.x), tostring(ARGV.x), tostring(sproc.x), sproc.name, tostring(sproc.file), tostring(KEYS.file),
    ('x'):rep(2), #table.concat({ 'a', 'b' }), math.floor(1.5), type(coroutine.wrap), type(os.time()), type(io.open),
    type(table.insert), tostring(getmetatable(string)), tostring(getmetatable(math)), type(getmetatable('').__index),
    tostring(getmetatable('').__add), tostring(redis.call('HGETALL', 'none').map), type(redis.pcall), cjson.encode({ { {} } }),
    #cmsgpack.pack(1), bit.band(3, 1), #struct.pack('b', 1), tostring(io.output() == io.stdout), tostring(io.input() == io.stdin),
    tostring(io.stdout.x), type(io.stdout.write),
    tostring((struct.unpack('>d', '\\127\\248\\0\\0\\0\\0\\0\\0'))), io.open('f', 'w'):seek(),
    type(print), type(pcall), type(error), type(unpack), type(next), type(rawget), type(xpcall), collectgarbage('setpause', 200),
}"""


def test_a_job_that_shares_a_lua_leaves_nothing_for_the_next(bench):
    """Those that can't reach what is behind their globals have one after another the same Lua."""
    first = bench.run(FOUND)
    assert first.status == "ok", first
    for source in LEFT_BEHIND:
        assert is_plain(source.encode())
        bench.run(source)
        assert bench.run(FOUND) == replace(first, duration_us=ANY), source
    assert is_plain(FOUND.encode())


def test_what_is_a_way_to_other_jobs_gets_a_lua_of_its_own():
    ways = (
        "_G",
        "getfenv(1)",
        "setfenv",
        "package.loaded",
        "require 'x'",
        "loadstring('')",
        "load",
        "dofile",
        "module",
        "debug",
    )
    assert not [source for source in ways if is_plain(source.encode())]


def test_the_memory_of_a_job_is_not_what_others_before_it_left(bench):
    held = "--runasync=yes\nlocal all = {{}} for i = 1, {} do all[i] = ('x'):rep(1e6) .. i end return #all"
    generation = bench.live(s=held.format(15), t=held.format(70), u="--runasync=yes\nerror('no')")
    for _ in range(5):
        assert bench.worker.run("s.lua", generation=generation).reply == "15"
        assert bench.worker.run("u.lua", generation=generation).error == "ERR u.lua:2: no"
        assert bench.worker.run("t.lua", generation=generation).error == "ERR not enough memory"


def test_a_library_that_a_job_loads_is_the_same_for_the_next(bench):
    bench.run("for a = 0, 255 do for b = 0, 127 do bit.band(a, b) end end")  # so much is not kept
    assert bench.run("string.sub = function() return '+' end return #struct.pack('b', 1)").reply == "1"
    assert bench.run("return tostring((struct.unpack('>d', '\\127\\248\\0\\0\\0\\0\\0\\0')))").reply == "nan"


def test_a_job_with_little_memory_has_it_whatever_ran_before(bench):
    generation = bench.live(
        s="--runasync=yes\nfor i = 1, 60 do local s = ('x'):rep(110000) .. i end return 1",
        t="--runasync=yes\nlocal t = {} for i = 1, 15000 do t[i] = {} end "
        "return { cjson.encode(1), cmsgpack.pack(1), bit.tobit(1), struct.pack('b', 1) }",
        u="--runasync=yes\nfor a = 0, 255 do for b = 0, 127 do bit.band(a, b) end end",
    )
    for name in ("t.lua", "u.lua") * 5:
        assert bench.worker.run(name, generation=generation).status == "ok"
        assert bench.worker.run("s.lua", generation=generation, memory_bytes=MB).reply == "1"


@pytest.mark.parametrize("way", [
    "string.sub = function() redis.sha1hex('') return 'k' end return ('x'):rep(2000)",
    "return { [setmetatable({}, { __tostring = function() redis.sha1hex('') return 'k' end })] = 1 }",
])  # fmt: skip
def test_a_text_that_calls_the_host_leaves_no_limit_for_the_next_job(bench, way):
    """Python makes values in Lua then: at the limit the process would end."""
    generation = bench.live(s=f"--runasync=yes\n{way}", t="--runasync=yes\nreturn #ARGV[1]")
    for _ in range(3):
        assert bench.worker.run("s.lua", generation=generation, memory_bytes=8 * MB).status == "ok"
        assert bench.worker.run("t.lua", (), ("x" * 12 * MB,), generation=generation).reply == str(12 * MB)


def test_a_worker_ends_with_its_daemon(bench, server, folder, tmp_path):
    """Were the daemon killed, a job that never ends would run beside the same job elsewhere."""
    bench.live(s="--runasync=yes\nwhile true do end")
    script = tmp_path / "daemon.py"
    script.write_text(
        "import sys, time\nsys.path.insert(0, sys.argv[3])\n"
        "from pathlib import Path\nfrom tests.worker.harness import WorkerProcess\n"
        "w = WorkerProcess(sys.argv[1], Path(sys.argv[2]))\nw.send_job('s.lua')\nprint(w.pid, flush=True)\ntime.sleep(60)\n"
    )
    daemon = subprocess.Popen([sys.executable, str(script), server.url, str(folder), str(ROOT)], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    pid = int(daemon.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_core_is_dumped(bench):
    assert resource.prlimit(bench.worker.pid, resource.RLIMIT_CORE) == (0, 0)


def test_errors_of_the_host_s_functions_are_texts(bench):
    """An exception of Python's would be an object in the sproc's hands."""
    for source in (
        "redis.sha1hex({})", "io.open('a\\0b')", "io.open(('x'):rep(1e6))", "require('x\\0y.lua')", "require('x\\0y')",
        "redis.call('ECHO', 0/0)", "io.open('/proc/1/fd/1')", "sproc.call(nil)", "sproc.enqueue({}, {}, {})",
        "sproc.call('x', {{}})", "redis.setresp(0/0)",
    ):  # fmt: skip
        done = bench.run(f"local ok, a, b = pcall(function() return {source} end) return type(a) .. type(b)")
        assert "userdata" not in done.reply, source
        assert done.status in {"ok", "denied"}, (source, done)


def test_what_was_printed_too_much_is_not_the_next_job_s(bench):
    bench.run("for i = 1, 1e5 do print(i) io.stderr:write('e') end")
    assert bench.run("print('a')").reply == "a\n"
    bench.run("io.write(('x'):rep(1e6)) io.stdout:close() io.stderr:close()")
    assert bench.run("print('b')").reply == "b\n"


@pytest.mark.parametrize(
    "where", ["left", "KEYS.file", "sproc.file", "io.file", "_G.left", "string.file", "local left"]
)
def test_what_a_job_left_open_is_written_before_its_end_is_told(bench, folder, where):
    left = where.split()[-1]
    for n in range(5):
        bench.run(
            f"{where} = io.open('left{n}', 'w') io.output('out{n}') io.write('more') {left}:write('text') error('no')"
        )
        assert (folder / f"left{n}").read_text() == "text"
        assert (folder / f"out{n}").read_text() == "more"


@pytest.mark.parametrize("way", [
    "KEYS[i] = assert(io.open('f' .. i, 'w'))",
    "sproc[i] = assert(io.open('f' .. i, 'w'))",
    "string[i] = assert(io.open('f' .. i, 'w'))",
    "local file = assert(io.open('f' .. i, 'w'))",
    "io.output('f' .. i)",
    "io.output(i)",
    "io.output('f' .. i) io.input('f' .. i)",
    "io.output('f' .. i) local line = io.lines('f' .. i)",
])  # fmt: skip
def test_what_a_job_left_open_is_closed(bench, way):
    """A process may have 256 files."""
    for _ in range(4):
        done = bench.run(f"for i = 1, 120 do {way} end")
        assert done.status == "ok", done


def test_jobs_of_two_kinds_leave_no_memory_behind(bench):
    """Those that share a Lua, and the others."""
    source = "--runasync=yes\nt = {} for i = 1, 20000 do t[i] = {} end return 1"
    generation = bench.live(s=source, t="--runasync=yes\nlocal x = _G return 1")
    held = []
    for n in range(200):
        bench.worker.run("s.lua" if n % 2 else "t.lua", generation=generation)
        held.append(resident_of(bench.worker.pid))
    assert held[-1] - held[50] < 4 * MB, held[::20]


def test_sources_of_before_are_not_held(bench):
    held = []
    for n in range(20):
        assert bench.run(f"return {n} -- {'x' * (MB - 100)}").reply == str(n)
        held.append(resident_of(bench.worker.pid))
    assert held[-1] - held[5] < 5 * MB, held


def test_jobs_leave_no_memory_behind(bench):
    source = "--runasync=yes\nt = {} for i = 1, 100 do t[i] = redis.call('ECHO', ('x'):rep(1000)) end pcall(error, {}) return t"
    generation = bench.live(s=source, t="--runasync=yes\nerror(coroutine.create(function() end))")
    held = []
    for n in range(400):
        bench.worker.run("s.lua" if n % 2 else "t.lua", generation=generation)
        held.append(resident_of(bench.worker.pid))
    assert held[-1] - held[100] < 2 * MB, held[::50]
