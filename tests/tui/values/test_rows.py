from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs_tui.values.rows import Counters, Row, state_of

if TYPE_CHECKING:
    pass


def test_the_next_time_of_a_schedule() -> None:
    assert Row("a", schedule=("", "15s", "")).due_ms(1_000_000_000_500) == 1_000_000_005_000
    assert Row("a", schedule=("0 0 * * *", "", "Europe/Berlin")).due_ms(1_790_000_000_000) == 1_790_028_000_000
    assert Row("a", schedule=("nonsense", "", "")).due_ms(1e12) is None
    assert Row("a", state="paused", schedule=("", "15s", "")).due_ms(1e12) is None
    assert Row("a").due_ms(1e12) is None


def test_drift_is_said_before_disabled():
    assert state_of({"enabled": "no"}, intact=False) == "drift"
    assert state_of({"enabled": "no"}, intact=True) == "disabled"
    assert state_of({}, intact=True) == "ok"


def test_a_row_says_in_a_word_what_is_wrong():
    failing = Counters(None, 3, 1, failing=True)
    rows = (
        Row("a", counters=failing, dead=2),
        Row("a", dead=2, missed=1),
        Row("a", missed=1),
        Row("a", state="paused", dead=2),
    )
    assert [row.shown_state for row in rows] == ["failing", "dead jobs", "missed a time", "paused"]
    assert [Row("a").shown_state, Row("a", commit="c0ffee1234").shown_state] == ["ok", "c0ffee12"]
