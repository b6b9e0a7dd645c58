"""What a session that stands shows, evaluates and sets: the same on both servers, and of an async sproc."""

from __future__ import annotations

import pytest

from tests.sync.debugger.client import Refused

pytestmark = pytest.mark.wording
ODD = r"""-- description=Values of every odd shape
local empty, no, lines = '', false, 'a\nb\r"c" \\ \0 é \255'
local nested = { '', { '' }, { a = { '', 'del' } }, [''] = '', ['1'] = 'one' }
local cycle, mute = {}, setmetatable({ a = 1 }, { __index = function() error('index') end, __tostring = error })
cycle.self = cycle
local nan, big, long, wide, deep = 0 / 0, 2 ^ 53 + 1, ('é'):rep(500000), {}, {}
for i = 1, 100000 do wide[i] = i end
for _ = 1, 1000 do deep = { deep } end
local function twice(x)
  local made = x * 2
  return made
end
local function counter()
  local count = 0
  return function()
    count = count + 1
    return count
  end
end
local counted = counter()
counted()
local again
function again(n)
  local here = 'level ' .. n
  if n > 0 then again(n - 1) end
  return here
end
again(1)
return twice(big)
"""
SHOWN = {
    "empty": '""',
    "no": "false",
    "lines": '"a\\nb\\r\\"c\\" \\\\ \\x00 é \\xff"',
    "nested": '{"", {""}, {a={"", "del"}}, ""="", "1"="one"}',
    "cycle": "{self={this table, or one around it}}",
    "mute": "{a=1}",
    "big": "9007199254740992",
    "ARGV": '{"", "del", "none\\n\\xff"}',
    "ARGV[1] == '' and ARGV[2] == 'del'": "true",
    "lines == 'a\\nb\\r\"c\" \\\\ \\0 é \\255'": "true",
    "nested[3].a[1] == '' and nested[''] == ''": "true",
    "wide[99999] + #wide": "199999",
    "cycle.self == cycle": "true",
    "twice(21)": "42",
    "sproc.name": '"odd.lua"',
    "(redis.log(redis.LOG_NOTICE, 'said') or 5) + 1": "6",
    "#KEYS": "1",
}


@pytest.fixture
def odd(server, debug, tree):
    (tree / "odd.lua").write_text(ODD)
    stops = {"odd.lua": [16, 25, 29]}
    return debug("odd.lua", stops=stops, redis=server.url, keys=["k"], args=["", "del", "none\n\udcff"])


def test_values_of_odd_shapes_are_shown_and_compared_as_they_are(odd):
    assert odd.stopped() == "breakpoint odd.lua:16"
    assert (odd.variables(), odd.variables("Upvalues")) == ({}, {"count": "0"})  # of a function that has returned
    assert odd.step("next") == "step odd.lua:17"
    assert odd.evaluate("count = count + 5", "repl") == "nil"
    assert odd.step("continue") == "breakpoint odd.lua:25"
    assert (odd.variables()["n"], odd.variables(frame=2)["nested"]["2"]) == ("1", {"1": ""})
    assert odd.step("continue") == "breakpoint odd.lua:25"
    assert odd.variables() == {"n": "0", "here": "level 0"}
    assert odd.variables(frame=2)["n"].startswith("(hidden")
    assert odd.step("continue") == "breakpoint odd.lua:29"
    assert {one: odd.evaluate(one) for one in SHOWN} == SHOWN
    assert "nan" in odd.evaluate("nan")
    assert odd.evaluate("long").endswith("… (1,000,000 bytes)")
    assert odd.evaluate("counted()") == "7"
    assert set(odd.variables()) >= {"deep", "wide", "again"}
    for broken in ("mute.none", "error({})", "error(mute)", "1 +", "nested.a.b"):
        with pytest.raises(Refused):
            odd.evaluate(broken)
    for code in ("big, ARGV[1] = 21, 'set'", "twice = function(x) return x .. ARGV[1] end"):
        assert odd.evaluate(code, "repl") == "nil"
    nested = next(one for one in _variables(odd, "Locals") if one["name"] == "nested")
    for name, value in {'""': "{ 7 }", '"1"': "ARGV[1]", "2": "nil"}.items():
        odd.ask("setVariable", variablesReference=nested["variablesReference"], name=name, value=value)
    assert odd.evaluate("nested[''][1] .. nested['1'] .. tostring(nested[2])") == '"7setnil"'
    with pytest.raises(Refused):
        odd.ask("setVariable", variablesReference=nested["variablesReference"], name="…", value="1")
    assert odd.step("continue") == "exited 0"
    assert 'reply: "21set"' in odd.said


def _variables(client, scope):
    (found,) = (one for one in client.ask("scopes", frameId=1)["scopes"] if one["name"] == scope)
    return client.ask("variables", variablesReference=found["variablesReference"])["variables"]


def test_a_large_table_leaves_room_for_what_comes_behind_it(server, debug, tree):
    names = [f"t{number}" for number in range(20)]
    makes = "".join(f"local {name} = {{}} for i = 1, 200 do {name}[i] = {{ ('ÿ'):rep(500) }} end\n" for name in names)
    (tree / "many.lua").write_text(f"{makes}local last, text = {{ a = 'b' }}, ('ÿ'):rep(20000)\nreturn last\n")
    client = debug("many.lua", stops={"many.lua": [22]}, redis=server.url)
    assert client.stopped() == "breakpoint many.lua:22"
    shown = {one["name"]: one["value"] for one in _variables(client, "Locals")}
    assert (len(shown), shown["last"]) == (22, '{a="b"}')
    assert "ÿÿ" in shown["t0"]
    assert shown["text"].endswith("… (40,000 bytes)")


def test_values_of_an_async_sproc_are_shown_alike(debug, tree):
    (tree / "odd.lua").write_text(ODD.replace("description=Values of every odd shape", "runasync=yes"))
    client = debug("odd.lua", stops={"odd.lua": [29]}, keys=["k"], args=["", "del", "none\n\udcff"])
    assert client.stopped() == "breakpoint odd.lua:29"
    assert {one: client.evaluate(one) for one in SHOWN} == SHOWN
    assert client.evaluate("long").endswith("… (1,000,000 bytes)")


def test_what_a_line_is_still_to_define_is_shown_roughly_and_not_evaluated(server, debug, tree):
    (tree / "inline.lua").write_text("local ok = '1'\nlocal pick = function(a) return a end return (pick(ok))\n")
    client = debug("inline.lua", stops={"inline.lua": [2]}, redis=server.url)
    assert client.stopped() == "breakpoint inline.lua:2"
    assert client.step("stepIn") == "breakpoint inline.lua:2"
    assert client.variables()["a"].startswith("(about) ")
    assert client.evaluate("ok == '1'") == "true"
    with pytest.raises(Refused, match="a can't be used here"):
        client.evaluate("a == '1'")


def test_what_the_sproc_logs_is_shown_with_its_level_and_place(server, debug, tree):
    api = "server" if server.kind == "valkey" else "redis"  # Valkey has both
    (tree / "logs.lua").write_text(
        f"-- readonly=yes\nlocal lines = 'a\\nb'\n{api}.log(redis.LOG_WARNING, lines,5)\n{api}.debug({{ '' }}, lines)\n"
        f"{api}.log(redis.LOG_WARNING, '\\255\\0.')\nerror('bad \\255\\0.')\n"
    )
    client = debug("logs.lua", redis=server.url)
    assert client.stopped() == "exception logs.lua:6"
    assert client.ask("exceptionInfo")["description"] == "logs.lua:6: bad \\xff\\x00."
    assert client.step("continue") == "exited 1"
    said = [(one["category"], one["output"], one.get("line")) for one in client.outputs if one.get("line")]
    assert said == [
        ("console", "warning: a\nb 5\n", 3),
        ("stdout", '{""}, "a\\nb"\n', 4),
        ("console", "warning: \\xff\\x00.\n", 5),
        ("stderr", "logs.lua:6: bad \\xff\\x00.\n", 6),
    ]


def test_breakpoints_beyond_those_that_the_server_takes_stop_too(server, debug, tree):
    lines = "".join(f"n = n + {number}\n" for number in range(80))
    (tree / "many.lua").write_text(f"local n = 0\n{lines}return n\n")
    client = debug("many.lua", redis=server.url, stops={"many.lua": [*range(2, 82)]})
    assert [client.stopped()] + [client.step("continue") for _ in range(79)] == [
        f"breakpoint many.lua:{line}" for line in range(2, 82)
    ]
    assert client.evaluate("n") == str(sum(range(79)))
    assert client.step("continue") == "exited 0"
