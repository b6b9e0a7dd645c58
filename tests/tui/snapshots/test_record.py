from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from luasprocs_tui import messages
from luasprocs_tui.screens.record import RecordScreen
from tests.tui.snapshots.frozen import RECORD, RECORDS, app, opened, shown

if TYPE_CHECKING:
    import pytest

LINES = [Text(line) for line in ("local card = nil", "", "error('no card')", "return card")]


@shown
def test_a_failed_run(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    before = opened(
        lambda: RecordScreen(RECORD, RECORDS[:2]), lambda: messages.SourceRead(LINES, "", (RECORD.sproc, 3))
    )
    assert snap_compare(made, terminal_size=size, run_before=before)


@shown
def test_a_reply(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(made, terminal_size=size, run_before=opened(lambda: RecordScreen(RECORDS[0], ())))
