from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.screen import Screen

from luasprocs_tui.screens.daemons import DaemonsScreen
from luasprocs_tui.values.columns import Column, Line, fit, widths
from luasprocs_tui.values.rows import Row
from luasprocs_tui.values.sproc_line import COLUMNS
from luasprocs_tui.widgets.table import Table
from tests.tui.pilot import filled, screen_of, unconnected, until

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.pilot import Pilot
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


async def test_rows_that_come_anew_draw_those_that_have_changed() -> None:
    app = OneTable()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(CountingTable)
        lines = [Line(f"{at:03}", (f"{at:03}",)) for at in range(100)]
        table.show_lines(lines)
        await pilot.pause()
        table.drawn.clear()
        table.show_lines([*lines[:5], Line("005", ("new",)), *lines[6:]])
        await pilot.pause()
        assert table.drawn == [6]
        table.drawn.clear()
        table.show_lines(lines[1:])
        await pilot.pause()
        assert {*table.drawn} >= {*range(1, 24)}


def shows(pilot: Pilot[None], text: str) -> bool:
    return text in screen_of(pilot)


async def test_a_look_draws_no_row_that_is_as_it_was(monkeypatch) -> None:
    async with unconnected().run_test(size=(160, 45)) as pilot:
        rows = [Row(f"{at:03}.lua") for at in range(100)]
        for _ in range(2):
            await filled(pilot, rows)
            await pilot.pause(0.1)
        drawn: set[int] = set()
        render = Table.render_line

        def counting(table: Table, y: int) -> Strip:
            drawn.add(y)
            return render(table, y)

        monkeypatch.setattr(Table, "render_line", counting)
        fewest = 100
        for number in range(3):  # while the clock ticks all rows may change
            drawn.clear()
            await filled(pilot, [*rows[:7], rows[7]._replace(trigger=f"set new{number}:*"), *rows[8:]])
            await until(pilot, partial(shows, pilot, f"set new{number}:*"), "what has changed")
            fewest = min(fewest, len(drawn))
        assert fewest == 1


async def test_more_rows_lay_the_screen_out_anew_only_for_a_scrollbar(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"{at:03}.lua") for at in range(60)]
    async with unconnected().run_test(size=(80, 24)) as pilot:
        table = await filled(pilot, rows[:40])
        await pilot.press("a")
        await until(pilot, lambda: table.show_vertical_scrollbar, "a scrollbar")
        laid_out: list[Screen[None]] = []
        monkeypatch.setattr(Screen, "_refresh_layout", lambda screen, *_: laid_out.append(screen))
        table.show_lines([Line(row.name, (row.name, *[""] * (len(COLUMNS) - 1))) for row in rows])
        table.action_end(1)
        await until(pilot, lambda: "059.lua" in screen_of(pilot), "the last row")
        assert (table.max_scroll_y, table.vertical_scrollbar.window_virtual_size, laid_out) == (
            61 - table.size.height,
            61,
            [],
        )


async def test_what_is_too_old_to_be_believed_is_dim_but_for_emergencies() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.app.push_screen(DaemonsScreen())
        table = pilot.app.screen.query_one(Table)
        table.show_lines(
            [
                Line(str(number), ("x",) * len(DaemonsScreen.COLUMNS), tone)
                for number, tone in enumerate(("ok", "ok", "bad", "ok"))
            ]
        )

        def dim() -> list[bool]:
            lines = (table.render_line(y) for y in (2, 3, 4))  # below the head and the cursor
            return [any(one.style is not None and one.style.dim for one in line) for line in lines]

        assert dim() == [False, False, False]
        table.stale = True
        assert dim() == [True, False, True]
        table.stale = False
        assert dim() == [False, False, False]
