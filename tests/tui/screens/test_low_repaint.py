from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from textual.widget import Widget

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import listed, screen_of, until

if TYPE_CHECKING:
    from textual.geometry import Region

    from tests.servers import Server


def app_for(server: Server, *, read_only: bool = False) -> TuiApp:
    put(server.client(), *(sproc(f"{letter}.lua", "-- event=set\nreturn 1") for letter in "abc"))
    return TuiApp(Context("", server.url, read_only=read_only), refresh_s=0.2)


async def test_keys_pressed_for_long_leave_no_widgets_behind(server: Server) -> None:
    async with app_for(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        counts = []
        for _ in range(2):
            for _ in range(10):
                await pilot.press("slash", "escape", "x", "escape")
            await pilot.pause(0.3)
            gc.collect()
            counts.append(sum(isinstance(one, Widget) for one in gc.get_objects()))
        assert counts[1] < counts[0] + 40, "more than one screen that is just leaving"


async def test_a_filter_that_opens_and_closes_leaves_the_table_as_it_is(server: Server) -> None:
    async with app_for(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        for keys in ((), ("x",)):
            await pilot.press(*keys)
            await pilot.pause(0.3)
            size = pilot.app.screen.query_one(Table).size
            await pilot.press("slash")
            await until(pilot, lambda: "words; ~regex" in screen_of(pilot), "the filter")
            assert pilot.app.screen.query_one(Table).size == size
            await pilot.press("escape")
            await until(pilot, lambda: "words; ~regex" not in screen_of(pilot), "its end")
            assert pilot.app.screen.query_one(Table).size == size


async def test_a_screen_below_another_draws_nothing_and_is_drawn_when_it_is_seen(server: Server, monkeypatch) -> None:
    client = server.client()
    async with app_for(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        below = pilot.app.screen
        await pilot.press("x")
        await until(pilot, lambda: "Executions" in screen_of(pilot), "the executions")
        top = pilot.app.screen
        drawn: list[Region] = []
        refresh = type(top).refresh

        def noted(self: Widget, *regions: Region, **how: bool) -> Widget:
            drawn.extend(regions)
            return refresh(self, *regions, **how)

        monkeypatch.setattr(type(top), "refresh", noted)
        put(client, *(sproc(f"{letter}.lua", "-- event=set\nreturn 2") for letter in "abcd"))
        await until(pilot, lambda: "d.lua" in below.query_one(Table)._keys, "the next snapshot")
        await pilot.pause(1.2)
        assert not drawn
        await pilot.press("escape")
        await until(pilot, lambda: "d.lua" in screen_of(pilot), "what came meanwhile")
