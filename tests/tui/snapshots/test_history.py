from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.registry.history import Generation
from luasprocs_tui import messages
from luasprocs_tui.screens.history import HistoryScreen
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest

ANN = "Ann <ann@example.com>"


def generation(number: int, action: str, commit: str, author: str, subject: str, **changes: Any) -> Generation:
    kinds = {"created": {}, "updated": {}, "deleted": {}} | changes
    at = f"2026-09-21T12:{number:02}:00+00:00"
    return Generation(number, action, commit * 6, author, subject, "main", at, "ci@host", **kinds)


ROWS = [
    generation(8, "rollback to 6", "c0ffee", "", "", updated={"sc1.lua": ("b", "a")}),
    generation(7, "sync", "decade", ANN, "Louder", updated={"sc1.lua": ("a", "b")}),
    generation(6, "sync", "c0ffee", ANN, "The first", created={"sc1.lua": "a"}, deleted={"old.lua": "o"}),
]


@shown
def test_generations(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    assert snap_compare(
        made, terminal_size=size, run_before=opened(HistoryScreen, lambda: messages.DataRead(ROWS), press=("j",))
    )


@shown
def test_of_one_sproc(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    before = opened(lambda: HistoryScreen("sc1.lua"), lambda: messages.DataRead(ROWS[1:]))
    assert snap_compare(made, terminal_size=size, run_before=before)
