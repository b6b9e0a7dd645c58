from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from luasprocs.registry.revision import Revision
from luasprocs_tui import messages
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.values.snapshots import Snapshot
from tests.tui.pilot import filled, hides, shows, unconnected

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_list_is_copied_and_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with unconnected().run_test(size=(100, 24), notifications=True) as pilot:
        await filled(pilot, [Row("a.lua", "set k*"), Row("b.lua"), Row("lone \udcff.lua")])
        await pilot.press("y")
        await shows(pilot, "copied: a.lua")
        assert pilot.app.clipboard == "a.lua"
        await pilot.press("space", "space", "y")
        await shows(pilot, "copied 2 lines")
        assert pilot.app.clipboard == "a.lua\nb.lua"
        await pilot.press("escape", "G", "y")
        await shows(pilot, "copied: lone")
        assert pilot.app.clipboard == "lone \\xff.lua"
        await pilot.press("w")
        await shows(pilot, "written to")
        found = written(tmp_path)
        assert [(row["NAME"], row["TRIGGER"]) for row in found][:2] == [("a.lua", "set k*"), ("b.lua", "")]


def written(folder: Path) -> list[dict[str, str]]:
    (file,) = folder.glob("luasprocs-*-sprocs.json")
    found: list[dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def test_where_there_is_nothing_it_says_so() -> None:
    async with unconnected().run_test(size=(100, 24), notifications=True) as pilot:
        await pilot.app.push_screen(JobsScreen())
        await pilot.press("y")
        await shows(pilot, "nothing to copy")
        pilot.app.clear_notifications()
        await hides(pilot, "nothing to copy")


async def test_what_is_folded_away_is_written_too_and_its_line_is_nothing_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with unconnected().run_test(size=(100, 24), notifications=True) as pilot:
        quiet = tuple(Row(f"quiet{number:02}.lua") for number in range(40))
        busy = Row("busy.lua", counters=Counters(last_run_s=int(time.time())))
        found = Snapshot(Revision(), (*quiet, busy), time.monotonic(), ("quiet00.lua", ""))
        pilot.app.post_message(messages.SnapshotRead(found))
        await shows(pilot, "40 more are quiet")
        await pilot.press("w")
        await shows(pilot, "written to")
        assert {row["NAME"] for row in written(tmp_path)} == {"busy.lua", *(row.name for row in quiet)}
        await pilot.press("G", "y")
        await shows(pilot, "nothing to copy")
