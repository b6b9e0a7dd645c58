from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from luasprocs.state.executions import Execution
from luasprocs_tui.values.filters import execution_matcher, matcher
from luasprocs_tui.values.rows import Counters, Row

if TYPE_CHECKING:
    pass

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
    ],
)
def test_what_the_filter_finds(typed: str, matches: bool):
    row = Row("billing/charge.lua", "set dream*", "ok", "Charge a CARD", Counters(None, 3, 1, failing=True))
    if typed == "~^charge":
        row = replace(row, name="charge.lua")
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
    ],
)
def test_what_matches(typed: str, matches: bool) -> None:
    assert execution_matcher(typed)(RECORD) == matches
