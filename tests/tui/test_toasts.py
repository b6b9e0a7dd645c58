from __future__ import annotations

import time

import pytest

from luasprocs.registry.revision import Revision
from luasprocs_tui import messages
from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import Context
from luasprocs_tui.values.rows import Row
from luasprocs_tui.values.snapshots import Snapshot
from luasprocs_tui.widgets.dialog import Confirm
from luasprocs_tui.widgets.table import Table
from tests.tui.pilot import screen_of, until

LONG = "the server refused it, and this is why it did so, in a sentence that takes more than one line of it"


@pytest.mark.parametrize("said", ["short", LONG])
async def test_what_is_said_covers_no_line_that_one_reads(said: str) -> None:
    rows = tuple(Row(f"team/{at:03}.lua", "set orders:*", description="what it does " * 20) for at in range(60))
    app = TuiApp(Context("", "redis://127.0.0.1:1/0"), refresh_s=3600)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.post_message(messages.SnapshotRead(Snapshot(Revision(), rows, time.monotonic(), (rows[-1].name, ""))))
        table = app.screen.query_one(Table)
        await until(pilot, lambda: table.selected is not None, "the list")
        await pilot.press("G")
        app.toast(said)
        await until(pilot, lambda: said.split()[-1] in screen_of(pilot), "what is said")
        lines = screen_of(pilot).split("\n")
        assert any(line.startswith(" team/059.lua  set orders:*      ok") for line in lines), lines
        detail = next(line for line in lines if line.startswith(" team/059.lua  set orders:*  what"))
        assert detail.rstrip().endswith("…")
        assert said.split()[0] not in detail
        assert "Open" in lines[-1]


async def test_what_is_said_covers_no_button_of_a_dialog() -> None:
    app = TuiApp(Context("", "redis://127.0.0.1:1/0"), refresh_s=3600)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await app.push_screen(Confirm("Sync?", "\n".join(f"+name{at}.lua" for at in range(100)), "Sync"))
        app.toast(LONG)
        await until(pilot, lambda: "line of it" in screen_of(pilot), "what is said")
        await until(pilot, lambda: "Cancel" in screen_of(pilot), "the buttons")
        assert "╰─" in screen_of(pilot)
