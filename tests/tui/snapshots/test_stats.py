from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.state.stats import Stats
from luasprocs_tui import messages
from luasprocs_tui.screens.stats import StatsScreen, drawn
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest

STATS = Stats(
    calls=12_345,
    runs=1000,
    errors=12,
    skipped=1,
    last_run_s=1_790_000_000,
    last_error="ERR charge.lua:3: no card",
    duration_us_total=1_234_567,
    duration_us_max=7_000_000,
    buckets=((50, 700), (100, 200), (1000, 90), (5_000_000, 9), (None, 1)),
)


@shown
def test_stats(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    text = drawn(STATS, (1.0, 5.0, 20.0, 40.0, 3.0), (0.0, 0.0, 2.0, 0.0, 1.0))
    assert snap_compare(
        made, terminal_size=size, run_before=opened(lambda: StatsScreen("charge.lua"), lambda: messages.DataRead(text))
    )


@shown
def test_of_what_never_ran(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    before = opened(lambda: StatsScreen("charge.lua"), lambda: messages.DataRead(drawn(Stats(), (), ())))
    assert snap_compare(made, terminal_size=size, run_before=before)
