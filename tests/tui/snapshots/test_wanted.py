from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.state.desired import SyncState
from luasprocs_tui import messages
from luasprocs_tui.screens.wanted import WantedScreen
from luasprocs_tui.values.lines import coloured
from luasprocs_tui.values.sync_status import sync_lines
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest

STATE = SyncState(
    source="git@example.com:shop.git",
    commit="decade" * 6,
    branch="main",
    subject="Louder",
    state="refused",
    reason="2 problems",
    created=("new.lua",),
    updated=("sc1.lua", "sc2.lua"),
    deleted=("old.lua",),
    diffs=("--- live/sc1.lua\n+++ git/sc1.lua\n@@ -1 +1 @@\n-return 'hello'\n+return 'HELLO'",),
    problems=("sprocs/new.lua:3:1: '=' expected near 'x'",),
    drift=("sc3.lua",),
    at=1_790_000_000.0,
    daemon="host-1-abc",
)


@shown
def test_what_git_wants(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    text = coloured("\n".join(sync_lines(STATE, "")))
    assert snap_compare(made, terminal_size=size, run_before=opened(WantedScreen, lambda: messages.DataRead(text)))
