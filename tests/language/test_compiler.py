"""Lua's own judgement of a source, and what the server's sandbox would refuse."""

from __future__ import annotations

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.language import sandbox
from luasprocs.language.analysis import analyse
from luasprocs.language.compiler import syntax_problems, uses
from tests.evaluated import locals_of, upvalues_of
from tests.servers import Server


def misuse(source: str | bytes, *, runasync: bool = False) -> list[str]:
    text = source.encode() if isinstance(source, str) else source
    found = analyse(text, "a.lua", {"runasync": "yes"} if runasync else {})
    assert found.sound
    return [str(problem) for problem in found.problems]


@pytest.mark.parametrize(
    ("source", "place", "word"),
    [
        ("local a = = 1", "1:11", "unexpected symbol near '='"),
        ("x = 3 = 4 = 5", "1:7", "near '='"),
        ("-- a\r\n\r\nfoo_b baz_q = 1\r\n", "3:7", "near 'baz_q'"),
        ("if a then\n", "2:1", "'end' expected (to close 'if' at line 1) near '<eof>'"),
        ("foo('ü', bar baz)", "1:14", "near 'baz'"),
        ("foo(\n\n'abc", "3:5", "unfinished string"),
        ("x = 'abc\n'", "1:5", "unfinished string"),
        ("--[[ never closed", "1:18", "unfinished long comment"),
        ("end", "1:1", "near 'end'"),
        ("local größe = 1", "1:9", "near 'ö'"),
        ("a=\x1b[31m", "1:3", "near 'char(27)'"),
        ("goto x", "1:6", "'=' expected"),
        ("#!lua flags=no-writes\nreturn return", "2:8", "unexpected symbol near 'return'"),
        ("x=" + "(" * 300, "1:1", "too many syntax levels"),
        ("\n".join(f"local a{at}" for at in range(300)), "202:1", "more than 200 local variables"),
        ("\x1bLua", "1:1", "char(27)"),
        ("\0", "1:1", "unexpected symbol"),
    ],
)
def test_a_syntax_error_has_its_own_line_and_column(source, place, word):
    (problem,) = syntax_problems("b c.lua", source.encode())
    assert str(problem).startswith(f"b c.lua:{place}: ")
    assert word in problem.message
    assert problem.kind == "error"


def test_it_runs_nothing(tmp_path):
    trap = tmp_path / "trap"
    assert syntax_problems("a.lua", f"io.open({str(trap)!r}, 'w'):write('x') while true do end".encode()) == []
    assert analyse(f"-- runasync=yes\nio.open({str(trap)!r}, 'w') while true do end").problems == ()
    assert not trap.exists()


SOURCES = st.binary() | st.text("abc=()[]{}'\"\\-.:,;<>~ \n\r\t\0end 123#", max_size=60).map(str.encode)


@given(SOURCES)
def test_any_bytes_get_an_answer_within_the_file(source):
    lines = source.replace(b"\r", b"\n").count(b"\n") + 1
    for problem in syntax_problems("a.lua", source):
        assert 1 <= problem.line <= lines
        assert 1 <= problem.column <= len(source) + 1
        assert problem.message.isprintable() or "\ufffd" in problem.message


def test_globals_are_misuse_on_the_server_only():
    source = """
x = 5
function foo() return x end
local f = io.open('x')
foo.bar.print(os.time(), os.clock(), print)
local t = { io = 1, [2] = "print" } -- io.open, print
t.io = undefined
"""
    assert misuse(source) == [
        "a.lua:2:1: assignment to the global x, which the server refuses: write `local x`",
        "a.lua:3:10: function foo is global, which the server refuses: write `local function foo`",
        "a.lua:4:11: the server has no global 'io': files need runasync=yes",
        "a.lua:5:15: the server has no os.time: redis.call('TIME') tells the time; all of os needs runasync=yes",
        "a.lua:5:38: the server has no global 'print': redis.log(redis.LOG_NOTICE, …) writes to the server's log",
        "a.lua:7:8: the server has no global 'undefined'",
    ]
    assert misuse(source, runasync=True) == []


def test_what_a_sproc_may_use_is_no_misuse():
    source = """
local json, n = cjson.encode({KEYS[1], ARGV}), 0
for _, k in ipairs(KEYS) do n = n + #k end
local function f(a) return f and sproc.call(a, KEYS, {}), require(a), sproc.name, redis.sha1hex(json) end
return { f(1), os.clock(), bit.band(1, 2), struct.pack('>I', 1), cmsgpack.pack(1), server, _VERSION, tostring(n) }
"""
    assert misuse(source) == []


def test_commands_that_no_server_has_or_lets_a_script_call_are_misuse():
    source = """
redis.call('GETT', KEYS[1])
local function f(a, b)
  return redis.pcall("subscribe", a == b, f(redis.call [[NOPE]]))
end
return server.call(
  'MULTI')
"""
    told = misuse(source)
    assert [line.partition(" ")[0] for line in told] == ["a.lua:2:13:", "a.lua:4:23:", "a.lua:4:58:", "a.lua:7:4:"]
    assert "did you mean 'get'" in told[0]
    assert "scripts may not call SUBSCRIBE" in told[1]
    assert "unknown command 'NOPE'" in told[2]
    assert len(misuse(source, runasync=True)) == 2


def test_a_command_that_is_not_a_literal_or_a_modules_own_is_left_alone():
    assert (
        misuse("""
local verb = ARGV[1]
redis.call(verb, 'NOPE')
redis.call('NO' .. verb)
redis.call(('NOPE'):lower())
redis.call(verb and 'NOPE' or 'NADA')
redis.call('json.set', 'a', '$', '1')
redis.call('blpop', 'a', 1)
local t = { call = function() end }
t.call('NOPE') -- redis.call('NOPE')
return "redis.call('NOPE')"
""")
        == []
    )


def test_a_table_of_many_values_is_no_code():
    values = ",".join(str(at) for at in range(60_000))
    assert misuse(f"local t = {{ {values} }} return t") == []


def test_every_command_of_the_server_is_known(server: Server):
    client = server.client(decode_responses=True)
    names = {name.lower() for name in client.command_list() if "|" not in name}
    assert names <= sandbox.commands().keys(), names - sandbox.commands().keys()


MEMBERS_OF_ALL = """
local names = {}
for name, value in pairs(_G) do
  for member in pairs(type(value) == 'table' and name ~= '_G' and value or {}) do names[#names + 1] = name .. '.' .. member end
  names[#names + 1] = name
end
return names
"""


def test_every_name_of_the_server_s_sandbox_is_known(server: Server):
    names = [name.partition(".") for name in server.client(decode_responses=True).eval(MEMBERS_OF_ALL, 0)]
    own = {"KEYS", "ARGV", "__redis__err__handler", "__server__err__handler"}
    assert {name for name, _, _ in names} - own <= sandbox.GLOBALS
    unknown = [name for name in names if name[2] and name[2] not in sandbox.MEMBERS[name[0]]]
    assert unknown == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("return redis.cal('GET', 'k')", "a.lua:1:8: the server has no redis.cal; did you mean 'call'?"),
        ("local f = function() return redis.replicate() end", "no redis.replicate; did you mean 'replicate_commands'?"),
        ("return server.sha256hex('x')", "the server has no server.sha256hex; did you mean 'sha1hex'?"),
        ("return table.unpack({})", "the server has no table.unpack: unpack(…) is its name in Lua 5.1"),
        ("return cjson.encod({})", "the server has no cjson.encod; did you mean 'encode'?"),
        ("return string.split('a')", "the server has no string.split: for word in text:gmatch"),
        ("return os.time()", "the server has no os.time: redis.call('TIME') tells the time"),
    ],
)
def test_an_unknown_member_is_misuse_and_the_nearest_right_name_is_told(source, told):
    (said,) = misuse(source)
    assert told in said


def test_a_member_that_is_looked_for_may_be_missing():
    assert misuse("local f = table.unpack or unpack return f({ 1 })") == []
    assert misuse("if redis.nope then return redis.nope() end") == []
    assert misuse("redis.replicate_commands() redis.breakpoint() redis.debug('x')") == []
    assert misuse("local redis = { own = 1 } local function f() return redis.own end return f()") == []
    assert misuse("return redis.acl_check_cmd('GET')") == []
    (said,) = misuse("return redis.acl_check_cmd('GET')", runasync=True)
    assert "an async sproc has no redis.acl_check_cmd" in said
    assert misuse("return table.own", runasync=True) == []


def test_a_source_may_have_as_many_locals_and_upvalues_as_under_eval():
    assert syntax_problems("a.lua", locals_of(200)) == []
    assert syntax_problems("a.lua", upvalues_of(58)) == []
    (problem,) = syntax_problems("a.lua", locals_of(201))
    assert "200 local variables" in problem.message
    found = uses(locals_of(198).replace(b"return", b"local _ = redis.cal('GET') return nope,"))
    assert [(use.what, use.name, use.detail) for use in found] == [("read", "redis", "cal"), ("read", "nope", "")]


FIELDS = {
    "function table.x() end": (1, 10, "table.x"),
    "table.x = 1": (1, 1, "table.x"),
    "string.trim = function(s) return s end": (1, 1, "string.trim"),
    "_G.x = 1": (1, 1, "_G.x"),
    "_G['x'] = 1": (1, 1, "_G.x"),
    "math.pi = 3": (1, 1, "math.pi"),
    "local t = table\nt.x = 1": (1, 11, "table.x"),
    "redis.x = 1": (1, 1, "redis.x"),
    "local f = function() redis.x = 1 end f()": (1, 22, "redis.x"),
    "cjson[ARGV[1]] = 1": (1, 1, "a field of cjson"),
    "table.x = ARGV[1] and 1 or 2": (1, 1, "table.x"),
    "rawset(_G, 'x', 1)": (1, 8, "_G.x"),
    "rawset(_G, ARGV[1], 1)": (1, 8, "a field of _G"),
    "return rawset(string, 'trim', redis.call('GET', 'a'))": (1, 15, "string.trim"),
    "local g = _G\nrawset(g, 'x', 1)": (1, 11, "_G.x"),
    "local rawset = rawset\nrawset(_G._G, 'x', 1)": (2, 8, "_G.x"),
    "local function f() rawset(redis, 'x', 1) end f()": (1, 27, "redis.x"),
    "setmetatable(_G, { __index = function() end })": (1, 14, "a field of _G"),
    "table.insert(math, 1)": (1, 14, "a field of math"),
    "local add = table.insert\nadd(redis, 'x')": (2, 5, "a field of redis"),
}


@pytest.mark.parametrize("source", FIELDS)
def test_a_field_of_what_is_read_only_is_misuse_on_the_server_only(source):
    line, column, what = FIELDS[source]
    told = misuse(source)
    assert [one for one in told if f"{line}:{column}: {what} is written, which the server refuses" in one], told
    assert misuse(source, runasync=True) == []


def test_a_field_of_a_table_of_its_own_is_no_misuse():
    source = """
local t, s = { redis = 1 }, string
t.x, t.string, KEYS[1] = 1, 2, 3
function t.f() end
function t:g() self.x = 1 end
local redis2 = { call = 1 } redis2.call = 2
s = {} s.x = 1
local f, g = rawset, _G
rawset(t, 'x', _G)
setmetatable(t, { __index = _G })
table.insert(KEYS, string)
local table, server, redis = {}, {}, {}
local function h() table.x, server.x, redis.x = 1, 2, 3 rawset(table, 'x', 1) end
return setmetatable({}, { __index = table })
"""
    assert misuse(source) == []


@pytest.mark.parametrize("command", ["CLIENT LIST", "config GET", "Function Load", "SCRIPT FLUSH", "acl whoami"])
def test_a_subcommand_that_no_server_lets_a_script_call_is_misuse(command):
    name, sub = command.split()
    (told,) = misuse(f"return redis.call('{name}', '{sub}', KEYS[1])")
    assert f"scripts may not call {command.upper()}" in told
    assert misuse(f"return redis.call('{name}', '{sub}')", runasync=True) == []
    assert misuse(f"return redis.call('{name}', '{sub}' .. ARGV[1])") == []
    assert misuse("return redis.call('OBJECT', 'ENCODING', KEYS[1]), redis.call('MEMORY', 'USAGE', KEYS[1])") == []


def test_what_is_called_misuse_is_refused_by_the_server(server: Server):
    client = server.client(decode_responses=True)
    here = set(client.command_list())
    for name in (name for name, mark in sandbox.commands().items() if mark and name in here):
        with pytest.raises(redis.ResponseError, match=r"not allowed from script|[Ww]rong number"):
            client.eval("return redis.call(unpack(ARGV))", 0, *name.split("|"))
    for source in (
        "x = 1",
        "function f() end",
        "return print",
        "return io.open",
        "return os.time()",
        "return debug",
        *FIELDS,
    ):
        assert misuse(source)
        with pytest.raises(redis.ResponseError):
            client.eval(source, 0, "1")
    for name in sandbox.GLOBALS - {"server", "os"}:
        assert client.eval(f"return type({name})", 0) != "nil"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("return redis.call('DEL', KEYS)", "1:26"),
        ("return redis.pcall('SET', KEYS[1], ARGV)", "1:36"),
        ("redis.call('DEL', table.concat(KEYS), ARGV)", "1:39"),
        ("local function all()\n  return redis.call('DEL', KEYS)\nend\nreturn all()", "2:28"),
        ("return redis.call('GET', KEYS[0])", "1:26"),
        ("local function first() return ARGV[0] end return first()", "1:31"),
    ],
)
def test_a_list_that_is_used_as_what_it_is_not_is_misuse(server: Server, source, place):
    for runasync in (False, True):
        (told,) = misuse(source, runasync=runasync)
        assert told.startswith(f"a.lua:{place}: ")
    client = server.client()
    if "[0]" in source:
        assert client.eval("return {KEYS[0] == nil, ARGV[0] == nil}", 1, "k", "a") == [1, 1]
    else:
        with pytest.raises(redis.ResponseError, match="must be strings or integers"):
            client.eval(source, 1, "k", "a")


@pytest.mark.parametrize(
    "source",
    [
        "return redis.call('DEL', unpack(KEYS))",
        "return redis.call('SET', KEYS[1], cjson.encode(ARGV))",
        "return redis.call('SET', KEYS[1], cjson.encode({a = ARGV, b = KEYS}))",
        "return {redis.call('GET', KEYS[1]), KEYS}",
        "return redis.call('DEL', ARGV[1] or KEYS)",
        "local KEYS = {'a'} return redis.call('DEL', unpack(KEYS)), KEYS[0]",
        "KEYS[0] = 'a' return KEYS[0]",
        "rawset(KEYS, 0, 'a') return KEYS[0]",
        "KEYS = KEYS[1] return redis.call('DEL', KEYS)",
        "local function one() KEYS = KEYS[1] end one() return redis.call('DEL', KEYS)",
        "local function one(KEYS) return KEYS[0], redis.call('DEL', KEYS) end return one({})",
        "local all = {} return all[0]",
    ],
)
def test_a_list_that_may_be_another_is_left_alone(source):
    assert misuse(source) == []
