from __future__ import annotations

from luasprocs_tui.values.rows import Row
from tests.tui.pilot import filled, unconnected


async def test_sorting_shows_what_is_first_then() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        table = await filled(pilot, (Row(f"{at:03}.lua", description=f"{99 - at:02}") for at in range(100)))
        await pilot.press("G", "o", "j", "enter")
        assert table.visible_keys[0] == table.selected == "000.lua"
        await pilot.press("ctrl+d", "O")
        assert table.visible_keys[0] == table.selected == "099.lua"
