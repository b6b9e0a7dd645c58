from __future__ import annotations

from luasprocs_tui.values.about import About, header_of, runs_of
from luasprocs_tui.values.rows import Counters, Rates, Row
from tests.live import sproc


def test_that_a_failing_sproc_is_paused_is_said() -> None:
    row = Row(
        "a.lua", "set k*", state="paused", by="ann", counters=Counters(failing=True, last_error="ERR a.lua:1: boom")
    )
    said = header_of(row, None, 0, 60).plain
    assert "‖ paused by ann" in said
    assert "boom" not in said, "that stands with the runs"


def test_a_library_is_not_told_to_be_run() -> None:
    about = About("a.lua", sproc("a.lua", "-- library=yes\nreturn {}"))
    said = runs_of(Row("a.lua", "library"), about, Rates(), 60).plain
    assert "a library: others require it" in said
    assert "R runs it" not in said
