from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from luasprocs.state.jobs import JobRecord
from luasprocs_tui import messages
from luasprocs_tui.screens.jobs import JobsScreen
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest


def came() -> messages.DataRead[list[JobRecord]]:
    since_ms = int(time.time() * 1000) - 90_500
    return messages.DataRead(
        [
            JobRecord(
                "1-1", "orders/export.lua", "running", "event", 1, since_ms, ("order:1",), ("set",), daemon="host-1"
            ),
            JobRecord("1-2", "orders/export.lua", "waiting", "event", 1, since_ms, ("order:2",), ("set",)),
            JobRecord("1-0", "sc4.lua", "dead", "call", 3, since_ms, ("file:1",), error="sc4.lua:2: no such folder"),
        ]
    )


@shown
def test_jobs(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(JobsScreen, came, press=("G",)))
