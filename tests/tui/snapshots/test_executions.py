from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from luasprocs_tui import messages
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.values.snapshots import Batch
from tests.tui.snapshots.frozen import RECORDS, app, opened, shown

if TYPE_CHECKING:
    import pytest


def came() -> messages.RecordsRead:
    return messages.RecordsRead(Batch(RECORDS, time.monotonic(), whole=True))


@shown
def test_the_tail(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(ExecutionsScreen, came))


@shown
def test_a_filter(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    press = ("slash", *"-s failed", "enter")
    press = tuple("space" if key == " " else "minus" if key == "-" else key for key in press)
    assert snap_compare(made, terminal_size=size, run_before=opened(ExecutionsScreen, came, press=press))
