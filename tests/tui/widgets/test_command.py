from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from luasprocs_tui.values.rows import Row
from luasprocs_tui.widgets.command import CommandLine
from luasprocs_tui.widgets.line import TypedLine
from tests.tui.pilot import app_of, filled, shows, unconnected, until

if TYPE_CHECKING:
    from textual.pilot import Pilot


def typed(pilot: Pilot[None]) -> str:
    assert isinstance(pilot.app.screen, CommandLine)
    return pilot.app.screen.query_one(Input).value


async def test_tab_completes_and_up_brings_back() -> None:
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        await filled(pilot, [Row("a.lua"), Row("b.lua")])
        await pilot.press("colon", *"sy", "tab")
        assert typed(pilot) == "sync"
        await pilot.press("escape", "colon", *"so", "tab")
        assert typed(pilot) == "sort"  # nothing else of what can be done here
        await pilot.press("escape", "colon", *"execute", "tab", "tab")
        assert typed(pilot) == "execute a.lua"
        await shows(pilot, "execute a.lua  execute b.lua")
        await pilot.press("tab")
        assert typed(pilot) == "execute b.lua"
        await pilot.press("tab", "shift+tab")
        assert typed(pilot) == "execute b.lua"
        await pilot.press("escape", "colon", *"the", "tab", "l", "tab", "enter")
        await until(pilot, lambda: pilot.app.theme == "luasprocs-light", "the colours")
        await pilot.press("colon", *"theme", "space", *"dark", "enter")
        await until(pilot, lambda: pilot.app.theme == "textual-dark", "the colours of before")
        await pilot.press("colon", "x", "up", "up", "up")
        assert typed(pilot) == "theme light"
        await pilot.press("down")
        assert typed(pilot) == "theme dark"
        await pilot.press("down")
        assert typed(pilot) == "x"
        await pilot.press("escape", "colon", "q", "enter")
        await until(pilot, lambda: app_of(pilot)._exit, "the end")


async def test_up_brings_back_what_was_filtered_by() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        table = await filled(pilot, [Row("a.lua"), Row("b.lua"), Row("c.lua")])
        for word in "bc":
            await pilot.press("slash", word, "enter")
            await until(pilot, lambda: len(table.visible_keys) == 1, "what matches")
            await pilot.press("escape")
        await pilot.press("slash", "up", "up")
        assert pilot.app.screen.query_one(TypedLine).value == "b"
        await until(pilot, lambda: table.visible_keys == ("b.lua",), "what matches")
        await pilot.press("down", "enter")
        await until(pilot, lambda: table.visible_keys == ("c.lua",), "what matches")
