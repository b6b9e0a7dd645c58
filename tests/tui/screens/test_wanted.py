from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luasprocs.operations.edit import edit
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.desired import SyncState, publish
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, listed, screen_of, shows, until

if TYPE_CHECKING:
    from tests.servers import Server


async def test_what_waits_is_a_diff_for_all_and_for_each(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 2"))
    diffs = (
        "--- live/a.lua\n+++ git/a.lua\n@@ -1 +1 @@\n-return 1\n+return 'other'",
        "--- live/b.lua\n+++ /dev/null\n@@ -1 +0,0 @@\n-return 2",
        "--- /dev/null\n+++ git/c.lua\n@@ -0,0 +1 @@\n+return 'third'",
    )
    state = SyncState(
        commit="c0ffee" * 6, subject="Louder", state="suspended", reason="by ann: a freeze", updated=("a.lua",)
    )
    publish(Registry(client, KEYS), state._replace(created=("c.lua",), deleted=("b.lua",), diffs=diffs))
    async with app(server).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("g", "colon", *"wanted", "enter")
        await until(pilot, lambda: "+return 'third'" in screen_of(pilot), "the whole plan")
        assert re.search(r"live is .*, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", screen_of(pilot)), "in which zone"
        assert all(one in screen_of(pilot) for one in ("-return 1", "+return 'other'", "-return 2", "by ann: a freeze"))
        await pilot.press("escape", "enter", "v")
        await until(pilot, lambda: "git wants another source of it" in screen_of(pilot), "what waits of one")
        assert "+return 'other'" in screen_of(pilot)
        assert "return 2" not in screen_of(pilot)


async def test_why_a_live_edit_cannot_be_committed_stands_wherever_the_edit_does(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    registry = Registry(client, KEYS)
    edit(registry, "a.lua", b"return 2", base=read_sprocs(registry, ["a.lua"])[0].blob, by="Ann <ann@example.com>")
    why = "a.lua: git has changed it, too: merge both"
    publish(registry, SyncState(commit="c0ffee" * 6, state="refused", reason="b.lua:1: no", edits_waiting=(why,)))
    async with app(server).run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await shows(pilot, "by Ann, can't be committed: git has changed it, too: m…", "it, too: merge both")
        await pilot.press("exclamation_mark", "G")
        said = "a.lua can't be committed: git has changed it, too: merge both"
        await until(pilot, lambda: said in " ".join(screen_of(pilot).split()), "why, below")
        await pilot.press("v")
        await shows(pilot, "live edit that can't be committed: a.lua: git has changed it, too: merge both")
        await pilot.press("escape", "escape", "g", "enter", "v")
        await shows(pilot, "its live edit can't be committed: git has changed it, too: merge both", "+return 2")
