"""Values as values.lua writes them, read again."""

from __future__ import annotations

from importlib import resources

import pytest
from lupa import lua51

from luasprocs.errors import ServerError
from sync.debugger.backend.values import names_in, parse, place_in


@pytest.fixture(scope="module")
def shown():
    """A function that shows Lua's values of an expression."""
    runtime = lua51.LuaRuntime(encoding=None)
    text = resources.files("sync.debugger.backend").joinpath("values.lua").read_bytes()
    written, *_ = runtime.execute(text)
    return lambda code: [one.text for one in parse(written(*_tuple(runtime.execute(b"return " + code))).decode())]


def _tuple(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        (b"1, 0.1, 2^53 - 1, -1/0, 1e300", ["1", "0.1", "9007199254740991", "-inf", "1e+300"]),
        (b"'', '\"a\\\\', 'a\\n\\0', '\\195\\169', '\\255'", ['""', '"\\"a\\\\"', '"a\\n\\x00"', '"é"', '"\\xff"']),
        (b"true, {false, {}}, nil, 1", ["true", "{false, {}}", "nil", "1"]),
        (b"{'', 'del', {''}}, {[''] = '', a = 1}", ['{"", "del", {""}}', '{""="", a=1}']),
        (b"{['1'] = 'one', [2] = 'two'}, {1, nil, 3}", ['{[2]="two", "1"="one"}', "{1, [3]=3}"]),
        (b"'\\226\\128\\174'", ['"\\u{202e}"']),
    ],
)
def test_values_are_shown_as_they_are(shown, code, texts):
    assert shown(code) == texts


@pytest.mark.wording
def test_what_has_no_end_is_cut(shown):
    assert shown(b"(function() local t = {} t[1] = t return t end)()") == ["{{this table, or one around it}}"]
    assert "{…}" in shown(b"(function() local t = {} for i = 1, 1000 do t = {t} end return t end)()")[0]
    assert shown(b"('x'):rep(20000)")[0].endswith("… (20,000 bytes)")
    wide = b"(function() local t = {} for i = 1, 200000 do t['k' .. i] = ('\\255'):rep(99) end return t end)()"
    assert shown(wide)[0].endswith("…}")


@pytest.mark.parametrize("text", ["x", "{", "{n", "s", "+", "}"])
def test_anything_else_is_refused(text):
    with pytest.raises(ServerError):
        parse(text)


def test_names_of_an_expression():
    assert names_in("a.b + c['d'] and #e .. \"f\" == nil") == ["a", "c", "and", "e", "nil"]


@pytest.mark.parametrize(
    "key", ["1", "-1.5", "true", "'a'", "'end'", "'true'", "'1'", "'a b'", "'\\n\\\\\\0\\255é\\226\\128\\174'"]
)
def test_a_field_is_found_again_by_its_name(key):
    runtime = lua51.LuaRuntime(encoding=None)
    written, *_ = runtime.execute(resources.files("sync.debugger.backend").joinpath("values.lua").read_bytes())
    source = f"return {{ [{key}] = 'found' }}".encode()
    (table,) = parse(written(runtime.execute(source)).decode())
    assert table.fields
    (name,) = table.fields
    runtime.globals()[b"t"] = runtime.execute(source)
    assert runtime.execute(f"return t{place_in(name)}".encode("utf-8", "surrogateescape")) == b"found"


@pytest.mark.parametrize("name", ["…", "function@0x1", "nil", '"a'])
def test_others_are_not(name):
    assert place_in(name) == ""
