from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from rich.cells import cell_len
from textual.app import App

from luasprocs_tui.values.columns import Column, Line, fit, widths
from luasprocs_tui.values.rows import Row
from luasprocs_tui.widgets.table import Table
from tests.tui.pilot import filled, unconnected

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.strip import Strip


@pytest.mark.parametrize("text", ["漢字漢字", "abc", "", "👩‍💻" * 9, "e\u0301" * 9, "\x1b" * 9])
@pytest.mark.parametrize("width", range(1, 9))
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int):
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width


@pytest.mark.parametrize("room", range(1, 200))
def test_columns_fit_any_width_their_least_allows(room: int):
    columns = [Column("A", 5, 60), Column("B", 4, 30), Column("C", 10, 400, grow=True)]
    found = widths(columns, [90, 12, 300], room)
    assert sum(found) + 2 * (sum(map(bool, found)) - 1) <= max(room, 11)


async def test_half_a_page_down_and_up() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        table = await filled(pilot, (Row(f"{at:03}.lua") for at in range(100)))
        page = table.size.height - 2
        for key, at in (("ctrl+d", page // 2), ("ctrl+d", page // 2 * 2), ("ctrl+u", page // 2), ("ctrl+u", 0)):
            await pilot.press(key)
            assert abs(table.cursor - at) <= 1, key


class CountingTable(Table):
    """Says which lines were drawn."""

    drawn: ClassVar[list[int]] = []

    def render_line(self, y: int) -> Strip:
        self.drawn.append(y)
        return super().render_line(y)


class OneTable(App[None]):
    def compose(self) -> ComposeResult:
        yield CountingTable((Column("NAME", 10, 20),))


async def test_a_move_draws_the_two_rows_alone() -> None:
    app = OneTable()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(CountingTable)
        table.focus()
        table.show_lines([Line(f"{at:03}", (f"{at:03}",)) for at in range(100)])
        await pilot.press("j")
        await pilot.pause()
        table.drawn.clear()
        await pilot.press("j")
        await pilot.pause()
        assert {*table.drawn} == {2, 3}
        await pilot.press("G")
        await pilot.pause()
        assert {*table.drawn} == {*range(24)}
