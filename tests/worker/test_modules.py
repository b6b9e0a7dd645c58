"""`require`: library sprocs, Lua modules of the machine, C libraries where the host allows them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

C_LIBRARY = """
typedef struct lua_State lua_State;
extern void lua_pushinteger(lua_State *, long);
int luaopen_answer(lua_State *state) { lua_pushinteger(state, 42); return 1; }
"""


@pytest.fixture
def trees(folder):
    """A folder of Lua modules, as LuaRocks' share/lua/5.1."""
    tree = folder.parent / "tree"
    (tree / "pkg" / "deep").mkdir(parents=True)
    (tree / "plain.lua").write_text("local M = {}\nfunction M.twice(x) return 2 * x end\nreturn M\n")
    (tree / "pkg" / "init.lua").write_text("#!/usr/bin/lua\nreturn { deep = require('pkg.deep.inner'), name = ... }")
    (tree / "pkg" / "deep" / "inner.lua").write_text(
        "module('pkg.deep.inner', package.seeall)\nfunction hi() return 'hi ' .. type(print) end"
    )
    (tree / "wrong.lua").write_text("local x =\n")
    (tree / "fails.lua").write_text("\nerror('no')")
    (tree / "code.lua").write_bytes(b"\x1bLuaQ")
    (tree / "redis_user.lua").write_text("return redis.call('ECHO', 'from a module')")
    return tree


def test_lua_modules_come_from_the_host_s_paths(bench, trees):
    bench.start(lua_path=str(trees))
    assert bench.run("return require('plain').twice(4)").reply == "8"
    assert bench.run(
        "local p = require('pkg') return { p.deep.hi(), p.name, require('pkg') == p, type(package.loaded.pkg) }"
    ).reply == ('["hi function","pkg",true,"table"]')
    assert bench.run("return require('redis_user')").reply == "from a module"
    bench.start(lua_path=f"{trees}/?.lua;{trees}/pkg/deep/?.lua")
    assert bench.run("return require('plain').twice(4)").reply == "8"
    assert bench.run("require('inner') return type(pkg.deep.inner)").reply == "table"


def test_a_module_that_can_t_be_loaded_says_why(bench, trees, folder):
    bench.start(lua_path=str(trees))
    (folder / "local.lua").write_text("return 1")
    (folder.parent / "above.lua").write_text("return 1")
    missing = bench.run("local found = require('local') return found")
    assert missing.status == "error", (
        "the working folder is no place of modules: a job could leave one there for others"
    )
    assert (
        f"module 'local' not found:\n\tno field package.preload['local']\n\tno file '{trees}/local.lua'"
        in missing.error
    )
    assert missing.error.startswith("ERR s.lua:2: module 'local' not found:")
    assert "wrong.lua:2: unexpected symbol near '<eof>'" in bench.run("return require('wrong')").error
    assert bench.run("return require('fails')").error.endswith("fails.lua:2: no")
    done = bench.run("return require('code')")
    assert (done.status, "bytecode is not loaded" in done.error) == ("denied", True)
    for name in ("../above", "/etc/passwd", "x.y", "%1", ""):
        assert bench.run(f"return require('{name}')").status == "error", name
    assert bench.run("return require({})").status == "error"
    assert bench.run("package.path = '/etc/?' return require('passwd')").status == "error"


def test_library_sprocs(bench):
    sources = {
        "lib__a": "--library=yes\nreturn { require('lib/b.lua'), sproc.name, sproc.trigger, #KEYS, sproc.id }",
        "lib__b": "--library=yes\nlocal n = redis.call('INCR', 'loads') return function() return n end",
        "none": "--library=yes\n",
        "round": "--library=yes\nreturn require('round.lua')",
        "broken": "--library=yes\n\nerror('no')",
        "off": "--library=yes\n--enabled=no\nreturn 1",
        "plain": "return 1",
    }
    call = (
        "--runasync=yes\nif ARGV[1] == 'ok' then local a = require('lib/a.lua') "
        "a[1] = a[1]() + require('lib/b.lua')() return a end\n"
    )
    generation = bench.live(s=call + "return require(ARGV[1])", **sources)
    run = bench.worker.run
    assert run("s.lua", (), ("ok",), generation=generation).reply == '[2,"lib\\/a.lua","require",0,"job-1"]'
    assert run("s.lua", (), ("ok",), generation=generation).reply.startswith("[4,"), "each job is on its own"
    assert run("s.lua", (), ("none.lua",), generation=generation).reply == "true"
    for name, error in {
        "round.lua": "require 'round.lua' requires itself",
        "broken.lua": "ERR broken.lua:3: no",
        "off.lua": "DISABLED sproc 'off.lua' has enabled=no",
        "plain.lua": "require 'plain.lua': it is not library=yes",
        "missing.lua": "NOSPROC no sproc named 'missing.lua'",
    }.items():
        done = run("s.lua", (), (name,), generation=generation)
        assert (done.status, error in done.error) == ("error", True), done


def test_what_is_live_is_run(bench):
    """Sources are kept for one generation of the registry."""
    library = "--library=yes\nreturn {}"
    first = bench.live(s="--runasync=yes\nreturn require('lib.lua').x or 1", lib="--library=yes\nreturn {}")
    assert bench.worker.run("s.lua", generation=first).reply == "1"
    second = bench.live(s="--runasync=yes\nreturn require('lib.lua').x", lib=library.replace("{}", "{ x = 2 }"))
    assert bench.worker.run("s.lua", generation=second).reply == "2"
    third = bench.live(other="return 1")
    assert bench.worker.run("s.lua", generation=third).error == "NOSPROC no sproc named 's.lua'"
    fourth = bench.live(s="--runasync=yes\n--enabled=no\nreturn 1")
    assert bench.worker.run("s.lua", generation=fourth).error == "DISABLED sproc 's.lua' has enabled=no"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_c_libraries_are_loaded_only_where_the_host_allows_them(bench, folder):
    """One in the user's LuaRocks tree would do as well; package.cpath is the sproc's to change, the right to read isn't."""
    place = folder / "c"
    place.mkdir()
    (place / "answer.c").write_text(C_LIBRARY)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", place / "answer.so", place / "answer.c"], check=True)
    load = "package.cpath = 'c/?.so' return require('answer')"
    done = bench.run(load)
    assert done.status == "error"
    assert "C libraries are off (the host's setting `allow` has no clibs)" in done.error
    assert bench.run("return type(package.loadlib)").reply == "nil"
    bench.start(allow=["clibs"])
    assert bench.run(load).reply == "42"
    assert bench.run("return package.loadlib('c/answer.so', 'luaopen_answer')()").reply == "42"
    assert bench.run("return io.open('/etc/passwd')").status == "denied"
    outside = folder.parent / "c"
    place.rename(outside)
    assert bench.run(f"package.cpath = '{outside}/?.so' return require('answer')").status == "error", (
        "it can't be read there"
    )
    for lua_path in (f"{outside}/?.so", str(outside)):
        bench.start(allow=["clibs"], lua_path=lua_path)
        assert bench.run("return require('answer')").reply == "42"
    bench.start(lua_path=str(outside))
    done = bench.run("return require('answer')")
    assert done.status == "denied"
    assert f"require {outside}/answer.so: it is a C library, and the host's setting `allow` has no clibs" in done.error
