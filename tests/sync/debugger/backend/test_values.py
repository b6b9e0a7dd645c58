"""Values as the server's debugger writes them."""

from __future__ import annotations

import pytest

from sync.debugger.backend.values import Value, literal, names_in, parse


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{}", {}),
        ("{1; 2}", {"1": "1", "2": "2"}),
        ('{["a"]=1; [2]="x;}"}', {'"a"': "1", "2": '"x;}"'}),
        ('{"a\\"b"; {["c"]=true}}', {"1": '"a\\"b"', "2": "{c=true}"}),
    ],
)
def test_tables(text, fields):
    found = parse(text).fields
    assert found is not None
    assert {name: one.text for name, one in found.items()} == fields


def test_strings_without_quotes():
    found = parse('{{"name":"ann; ben"}; hset; [1,2]; {[a]=b}}', bare=True).fields
    assert found is not None
    assert [one.text for one in found.values()] == ['{"name":"ann; ben"}', "hset", "[1,2]", "{a=b}"]


@pytest.mark.parametrize("text", ["{", "{" * 100, "[", '{["a"', "{=", '"', "{[[[", '{"a"=', "x}"])
def test_what_is_broken_stays_a_text(text):
    assert parse(text) == Value(text)
    assert parse(text, bare=True).text == text


def test_a_value_as_lua():
    assert literal(parse('{["a"]=1; [2]="x\\n\\x00"}')) == '{["a"] = 1, [2] = "x\\n\\000"}'
    assert literal(parse("5"), texts=True) == '"\\053"'
    assert literal(parse('"function@0x12"')) is None
    assert literal(parse("hello")) == '"\\104\\101\\108\\108\\111"'


def test_names_of_an_expression():
    assert names_in("a.b + c['d'] and #e .. \"f\" == nil") == ["a", "c", "e"]
