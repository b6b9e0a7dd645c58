"""What the screen draws again, and what it does not: keys wait for both."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from textual.widget import Widget

from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import Context
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.test_sprocs_screen import listed, screen_of, until

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.pilot import Pilot

    from tests.servers import Server


def app_for(server: Server, *, read_only: bool = False) -> TuiApp:
    put(server.client(), *(sproc(f"{letter}.lua", "-- event=set\nreturn 1") for letter in "abc"))
    return TuiApp(Context("", server.url, read_only=read_only), refresh_s=0.2)


def line_of(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(KeyLine).render().plain


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


async def test_a_click_presses_the_key_that_stands_there(server: Server) -> None:
    async with app_for(server).run_test(size=(160, 24)) as pilot:
        await listed(pilot)
        at = line_of(pilot).index("Executions")
        await pilot.click(KeyLine, offset=(at, 0))
        await until(pilot, lambda: "none recorded yet" in screen_of(pilot), "the executions")
        await pilot.click(KeyLine, offset=(line_of(pilot).index("Back"), 0))
        await until(pilot, lambda: "none recorded yet" not in screen_of(pilot), "the list")


async def test_what_has_no_room_is_left_out_and_what_is_not_allowed_is_dim(server: Server) -> None:
    async with app_for(server, read_only=True).run_test(size=(60, 24)) as pilot:
        await listed(pilot)
        assert len(line_of(pilot)) == 60
        assert line_of(pilot).rstrip().endswith("palette")
        assert "…" in line_of(pilot)
        await pilot.resize_terminal(160, 24)
        await until(pilot, lambda: "Pause" in line_of(pilot) and "…" not in line_of(pilot), "all of it")
        text = pilot.app.screen.query_one(KeyLine).render()
        dim = {line_of(pilot)[span.start : span.end].strip() for span in text.spans if "dim" in str(span.style)}
        assert "Pause" in dim
        assert "Filter" not in dim
