from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.state.schedules import ScheduleInfo
from luasprocs_tui import messages
from luasprocs_tui.screens.cron import CronScreen
from tests.tui.snapshots.frozen import NOW_MS, app, opened, shown

if TYPE_CHECKING:
    import pytest

ROWS = [
    (ScheduleInfo("report.lua", "30 2 * * *", "Europe/Berlin", "once", "ok", NOW_MS + 9_000_000, NOW_MS - 5000, 0, 2), NOW_MS),
    (ScheduleInfo("sc3.lua", "every 15s", "", "skip", "paused"), NOW_MS),
    (ScheduleInfo("tick.lua", "every 2s", "", "all", "idle", NOW_MS + 1500), NOW_MS),
]  # fmt: skip


@shown
def test_schedules(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(CronScreen, lambda: messages.DataRead(ROWS)))
