"""What a text says: header and body, each where it stands, whatever is wrong with either."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luasprocs.language.analysis import Analysis, analyse
from luasprocs.language.check import check
from luasprocs.language.files import SOURCE_LIMIT_BYTES
from luasprocs.language.places import Lines, Range
from luasprocs.language.problems import CODES, MISUSE, WARNINGS
from tests.language.test_check import LIBRARY, Texts, circle

FILES = {
    "encoding.utf-16": "-- event=set".encode("utf-16"),
    "encoding.not-utf-8": b"-- \xff",
    "encoding.bom": b"\xef\xbb\xbfreturn 1",
    "encoding.nul": b"return '\0'",
    "file.too-large": b"-" * (SOURCE_LIMIT_BYTES + 1),
    "header.unknown-key": b"-- evnt=set",
    "header.duplicate-key": b"-- event=set\n-- event=set",
    "header.bad-value": b"-- event=get",
    "header.contradiction": b"-- key=a",
    "header.lookalike": b"-- event = set",
    "header.first-line": b"#!lua flags=no-write\nreturn 1",
    "header.functions-library": b"#!lua name=lib\nreturn 1",
    "lua.syntax": b"local = 1",
    "lua.unknown-global": b"return io",
    "lua.global-write": b"x = 1",
    "lua.unknown-command": b"return redis.call('GETT')",
    "lua.forbidden-command": b"return redis.call('multi')",
    "lua.list-shape": b"return redis.call('DEL', KEYS)",
    "lua.only-in-sprocs": b"-- evalsha=yes\nreturn sproc.name",
}
WORKSPACES = {
    "name.invalid": {"a.LUA": ""},
    "name.clash": {"a.lua": "", "A.lua": ""},
    "require.unknown": {"a.lua": "return require 'b.lua'"},
    "require.not-library": {"a.lua": "return require 'b.lua'", "b.lua": "return 1"},
    "call.unknown": {"a.lua": "return sproc.call('b.lua')"},
    "require.circle": circle("a.lua", "b.lua"),
    "function.taken": {"a.lua": "-- function=f", "b.lua": "-- function=F"},
}
ELSEWHERE = {
    "file.not-regular",  # tests/sync/reconcile/test_check.py
    "file.ignored",
    "cluster.two-slots",  # tests/sync/commands/test_check.py
    "header.unwritable",  # tests/language/test_header.py
}


@pytest.mark.parametrize(("code", "source"), FILES.items(), ids=FILES)
def test_each_code_of_a_file_has_a_file_that_has_it_alone(code, source):
    (problem,) = analyse(source, "a.lua").problems
    kind = "misuse" if code in MISUSE else "warning" if code in WARNINGS else "error"
    assert (problem.path, problem.code, problem.kind) == ("a.lua", code, kind)
    assert (problem.end_line, problem.end_column) >= (problem.line, problem.column)


@pytest.mark.parametrize(("code", "texts"), WORKSPACES.items(), ids=WORKSPACES)
def test_each_code_of_sprocs_among_each_other_has_some_that_have_it_alone(code, texts):
    assert {one.code for one in check(Texts(texts))} == {code}


def test_every_code_is_produced_somewhere():
    assert FILES.keys() | WORKSPACES.keys() | ELSEWHERE == CODES.keys()


def shown(source: bytes | str) -> list[tuple[str, str, str]]:
    """What each problem is about, as the text has it."""
    found = analyse(source)
    lines = Lines(found.text)
    return [
        (one.code, lines.slice(Range(one.line, one.column, one.end_line, one.end_column)), str(one.line))
        for one in found.problems
    ]


def test_header_and_body_are_both_told_though_both_are_broken():
    source = "-- evnt=set\n--[[ event=get, set\n\ttimeout=5 ]] foo()\nlocal x = = 1"
    assert shown(source) == [
        ("header.unknown-key", "evnt", "1"),
        ("header.bad-value", "get, set", "2"),
        ("header.bad-value", "5", "3"),
        ("lua.syntax", "=", "4"),
    ]
    assert analyse(source).values == {}
    assert [field.key for field in analyse(source).fields] == ["evnt", "event", "timeout"]


def test_a_broken_header_leaves_the_body_its_references():
    found = analyse("-- evnt=set\nlocal l = require('lib.lua') sproc.call('a.lua') sproc.enqueue [[b.lua]] return l, x")
    assert [(one.name, one.range) for one in found.requires] == [("lib.lua", Range(2, 20, 2, 27))]
    assert [(one.what, one.name) for one in found.calls] == [("call", "a.lua"), ("enqueue", "b.lua")]
    assert [one.code for one in found.problems] == ["header.unknown-key", "lua.unknown-global"]


def test_where_a_sproc_runs_decides_what_it_may_use():
    assert [one.code for one in analyse("return io").problems] == ["lua.unknown-global"]
    assert analyse("-- runasync=yes\nreturn io").problems == ()
    assert analyse("return io", defaults={"runasync": "yes"}).problems == ()
    assert [one.code for one in analyse("-- runasync=maybe\nreturn io").problems] == ["header.bad-value"]


def test_defaults_are_values_where_they_fit():
    assert analyse("-- owner=me", defaults={"owner": "you", "timezone": "UTC"}).values == {"owner": "me"}
    assert analyse("-- cron=@daily", defaults={"timezone": "UTC"}).values == {"cron": "@daily", "timezone": "UTC"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("-- foo\n--[[ foo ]] local s = 'foo' return 1 .. foo", "foo@2:41"),
        ("local t = { foo = foo } return t.foo, t", "foo@1:19"),
        ("local t = {} t.foo, t . foo = 1, foo", "foo@1:34"),
        ("return 0xF ..foo", "foo@1:14"),
        ("function\n  foo() end", "foo@2:3"),
        ("foo = function()\n  foo()\nend", "foo@1:1 foo@2:3"),
        ("local x = foo\nx = x == foo", "foo@1:11 foo@2:10"),
        ("local x; x, foo = 1, 2", "foo@1:13"),
        ("foo =\n\n 1", "foo@1:1"),
        ("return {\n'x',\nfoo,\n\n}", "foo@3:1"),
    ],
)
def test_a_global_is_found_where_it_stands(source, expected):
    places = [
        f"{one.name}@{one.range.line}:{one.range.column}" for one in analyse(source).references if one.name == "foo"
    ]
    assert " ".join(dict.fromkeys(places)) == expected


@pytest.mark.parametrize(
    ("literal", "inside"),
    [
        ("'GETT'", "GETT"),
        ('"GE\\84T"', "GE\\84T"),
        ("[[GETT]]", "GETT"),
        ("[==[\nGETT]==]", "GETT"),
        ("'\\71ETT'", "\\71ETT"),
    ],
)
def test_a_literal_is_found_however_it_is_written(literal, inside):
    source = f"-- 'GETT'\nlocal s = \"'GETT'\" -- {literal}\nreturn s, redis.call({literal})"
    if "\n" in literal:
        source = f"return redis.call({literal})"
    found = analyse(source)
    (command,) = [one for one in found.references if one.what == "command"]
    assert command.name == "GETT"
    assert Lines(found.text).slice(command.range) == inside
    if "\n" not in literal:
        assert command.range.line == 3


def test_a_text_of_an_editor_may_hold_what_no_file_can():
    assert [one.code for one in analyse("return '\ud83d'").problems] == ["encoding.not-utf-8"]
    assert [one.code for one in analyse("\ufeffreturn 1").problems] == ["encoding.bom"]


WORDS = [
    *[
        "redis",
        ".call",
        "(",
        ")",
        "'GETT'",
        '"\\71ET"',
        "[[NOPE]]",
        "require",
        "'lib.lua'",
        "sproc",
        ".enqueue",
        ".call",
    ],
    *["local", "function", "end", "return", "x", "foo", "os", ".time", "=", "==", ",", "..", "{", "}", "if", "then"],
    *[
        "\n",
        "\r\n",
        "\r",
        " ",
        "--",
        "--[[",
        "]]",
        "'",
        '"',
        "\\",
        "0x1e+",
        "3..",
        "é",
        "\t",
        "do",
        ";",
        "foo()",
        "[=[",
    ],
]
LUA = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)
HEADER = st.lists(
    st.tuples(
        st.sampled_from(["-- ", "--", "  --- ", "--[[ "]),
        st.sampled_from(["event", "key", "evnt", "runasync", "library", "x_a", "cron", "memory", "timeout"]),
        st.sampled_from(["=", " = ", "==", " "]),
        st.sampled_from(["set", "get", "yes", "No", "a*", "[", "", "@daily", "5", "5s", "é]]"]),
        st.sampled_from(["\n", "\r\n", "\r", " ]]\n", "\n\r"]),
    ).map("".join),
    max_size=4,
).map("".join)


def inside(found: Analysis, place: Range) -> str:
    """The text of a range, which must lie within the text."""
    lines = Lines(found.text)
    end = lines.place(len(found.text))
    assert (1, 1) <= (place.line, place.column) <= (place.end_line, place.end_column) <= end
    for line, column in ((place.line, place.column), (place.end_line, place.end_column)):
        start, next_start = lines.span(line)
        assert 1 <= column <= next_start - start + 1
    return lines.slice(place)


@given(
    st.binary() | st.text() | st.builds(str.__add__, HEADER, LUA) | st.builds(str.__add__, HEADER, LUA).map(str.encode)
)
@example(b"--[[ event=set\xff")
@example("function\nfoo() end")
@example("\ufeff-- evnt=set\r\n\rx=\n\r1")
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example("'\udcc3\udca9'")
def test_any_text_is_analysed_and_every_range_holds_what_it_says(source):
    found = analyse(source, "a.lua")
    for field in found.fields:
        assert (inside(found, field.key_range), inside(found, field.value_range)) == (field.key, field.value)
    for one in found.references:
        written = inside(found, one.range)
        assert written == one.name or (one.what not in {"read", "write"} and {"\\", "\r"} & set(written)), one
    for problem in found.problems:
        inside(found, Range(problem.line, problem.column, problem.end_line, problem.end_column))
        assert problem.code in CODES
        assert problem.path == "a.lua"
    assert list(found.problems) == sorted(set(found.problems))
    if isinstance(source, bytes) and found.sound:
        assert found.text.encode() == source


@given(st.lists(st.tuples(st.sampled_from(["'", '"']), st.binary(min_size=1, max_size=6)), max_size=4))
def test_a_literal_means_what_lua_says_it_means(literals):
    """Each byte written plainly or as an escape: what `require` gets is what the reference says, and where it says."""
    escapes = {10: "\\\n", 13: "\\r", 92: "\\\\", 34: '\\"', 39: "\\'", 7: "\\a"}
    written = [
        quote
        + "".join(escapes.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03}") for byte in content)
        + quote
        for quote, content in literals
    ]
    contents = [content for _, content in literals]
    found = analyse("\n".join(f"require({one})" for one in written))
    names = sorted({content.decode("utf-8", "surrogateescape") for content in contents})
    assert sorted({one.name for one in found.requires}) == names
    for one in found.requires:
        assert f"'{inside(found, one.range)}'" in written or f'"{inside(found, one.range)}"' in written


@pytest.mark.parametrize(
    "source",
    [
        "function f() " * 150 + "end " * 150,
        "x = {" * 150 + "}" * 150,
        "foo()\n" * 20_000,
        "return " + ",".join(["foo"] * 200),
        "--[[" + "]" * 500_000,
        "[" * 500_000,
        "[=" * 250_000,
        "'" * 500_000,
        "-- a=b\n" * 20_000,
        "\r" * 500_000,
    ],
    ids=[
        "deep functions",
        "deep tables",
        "many lines",
        "one line",
        "brackets",
        "opened",
        "levels",
        "quotes",
        "header",
        "cr",
    ],
)
def test_a_hostile_text_takes_no_long_time(source):
    began_s = time.process_time()
    assert isinstance(analyse(source), Analysis)
    assert time.process_time() - began_s < 20


def test_the_library_of_the_tests_is_one():
    assert analyse(LIBRARY).values == {"library": "yes"}


@pytest.mark.parametrize("name", ["KEYS", "ARGV"])
def test_what_is_a_local_here_is_found_as_a_field_of_globals(name):
    assert shown(f"return _G.{name}") == [("lua.unknown-global", "_G", "1")]
    assert shown(f"-- runasync=yes\nreturn _G.{name}") == shown(f"return {name}") == []
