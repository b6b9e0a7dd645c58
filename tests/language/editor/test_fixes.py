"""Each quick fix, applied: the problem is gone."""

from __future__ import annotations

import pytest

from luasprocs.language.analysis import analyse
from luasprocs.language.check import check
from luasprocs.language.editor.fixes import fixes, readonly
from tests.language.test_check import Texts

TABLE = [
    ("-- evnt=set\nreturn 1", "-- event=set\nreturn 1"),
    ("-- event=set\n-- event=del\nreturn 1", "-- event=set\nreturn 1"),
    ("-- misfire=one\n-- every=5m\nreturn 1", "-- misfire=skip\n-- every=5m\nreturn 1"),
    ("-- timeout = 5s\nreturn 1", "-- timeout=5s\nreturn 1"),
    ("x = 1\nreturn x", "local x = 1\nreturn x"),
    ("function f() end\nreturn f()", "local function f() end\nreturn f()"),
    ("return redis.cal('GET')", "return redis.call('GET')"),
    ("return redis.call('GTE', 'a')", "return redis.call('GET', 'a')"),
    ("return tostrin(1)", "return tostring(1)"),
    ("return require('lib/mony.lua')", "return require('lib/money.lua')"),
    ("return sproc.call('by.lua')", "return sproc.call('buy.lua')"),
]


@pytest.mark.parametrize(("text", "right"), TABLE)
def test_the_first_fix_is_the_right_one(text, right):
    others = {"lib/money.lua": "-- library=yes\nreturn {}", "buy.lua": "return 1"}
    (problem,) = check(Texts({"a.lua": text, **others}), ["a.lua"])
    first = next(fixes(text, problem, ["lib/money.lua"], ["buy.lua"]))
    fixed = text[: first.start] + first.text + text[first.end :]
    assert fixed == right
    assert check(Texts({"a.lua": fixed, **others}), ["a.lua"]) == []


def test_a_sproc_that_only_reads_can_say_so():
    text = "-- description=a\nreturn redis.call('GET', KEYS[1])\n"
    fix = readonly(text, ["get"])
    assert fix
    fixed = text[: fix.start] + fix.text + text[fix.end :]
    assert analyse(fixed).values["readonly"] == "yes"
    assert readonly(fixed, ["get"]) is None
    assert readonly(text, ["get", "set"]) is None
    assert readonly(text, []) is None
