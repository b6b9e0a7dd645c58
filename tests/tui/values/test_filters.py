from __future__ import annotations

import time

import pytest

from luasprocs.state.executions import Execution
from luasprocs_tui.values.filters import execution_matcher, matcher, problem_of
from luasprocs_tui.values.rows import Counters, Row

RECORD = Execution("1-1", 1, "a.lua", "event", "order:1", "set", "1-0", 1, "error", 5, "", "ERR no card", "c", "d")


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("", True),
        ("bill card", True),
        ("bill nothing", False),
        ("~^bill.*lua$", True),
        ("~^charge", True),
        ("~[", True),
        ("~nothing$", False),
        ("-t dream", True),
        ("-t cron", False),
        ("-t", True),
        ("-s ok", False),
        ("-s paused", False),
        ("-s failing", True),
        ("card -s failing -t set", True),
        ("!nothing", True),
        ("bill !card", False),
        ("!~lua$", False),
        ("!~cron", True),
        ("!~[", True),
        ("!", True),
        ("!-s paused", True),
        ("!-t set", False),
        ("!-t", True),
    ],
)
def test_what_the_filter_finds(typed: str, matches: bool):
    row = Row("billing/charge.lua", "set dream*", "ok", "Charge a CARD", Counters(None, 3, 1, failing=True))
    if typed == "~^charge":
        row = row._replace(name="charge.lua")
    assert matcher(typed)(row) == matches


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("", True),
        ("card", True),
        ("CARD order", True),
        ("card nothing", False),
        ("-s error", True),
        ("-s failed", True),
        ("-s ok", False),
        ("-t event", True),
        ("-t set -n a.", True),
        ("-n b", False),
        ("-n", True),
        ("~^order:\\d$", True),
        ("~[", True),
        ("~^card", False),
        ("!~order", False),
        ("!-s ok !other", True),
    ],
)
def test_what_matches(typed: str, matches: bool) -> None:
    assert execution_matcher(typed)(RECORD) == matches


@pytest.mark.parametrize("typed", ["~(a+)+;", "!~(a+)+;", "~(a|a)*;", "~(.*)*(.*)*(.*)*x$"])
def test_a_regular_expression_that_would_take_years_is_left_out(typed: str) -> None:
    record = RECORD._replace(reply="a" * 2000 + "b")
    began_s = time.process_time()
    matches = execution_matcher(typed)
    assert all(matches(record) for _ in range(5000))
    assert "too long" in problem_of(typed)
    assert time.process_time() - began_s < 2
    assert not problem_of("~a+$")


def test_one_that_takes_a_little_long_for_each_of_many_is_left_out_too() -> None:
    record = RECORD._replace(reply="a" * 1000)
    matches = execution_matcher("~a*;")
    began_s = time.process_time()
    assert sum(map(matches, [record] * 5000)) > 3000
    assert "too long" in problem_of("~a*;")
    assert time.process_time() - began_s < 2


def test_a_quick_one_is_quick_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the timer rings meanwhile."""
    monkeypatch.setattr("luasprocs_tui.values.expressions.SEARCH_S", 0.004)
    monkeypatch.setattr("luasprocs_tui.values.expressions.PASS_S", 60.0)
    matches = execution_matcher("~^order:1$")
    assert all(matches(RECORD) for _ in range(200_000))
    assert not problem_of("~^order:1$")


@pytest.mark.parametrize("typed", ["~a{99999999999}", "~" + "(" * 5000, "~(?L)x", "~(?P<1>x)", "~\\"])
def test_what_is_no_regular_expression_says_so(typed: str) -> None:
    assert execution_matcher(typed)(RECORD)
    assert "not a regular expression yet" in problem_of(typed)
