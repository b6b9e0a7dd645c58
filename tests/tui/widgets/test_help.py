from __future__ import annotations

import pytest

from tests.tui.pilot import screen_of, shows, unconnected, until


@pytest.mark.parametrize("size", [(80, 24), (80, 12), (160, 45)])
async def test_the_last_key_can_be_read(size: tuple[int, int]) -> None:
    async with unconnected().run_test(size=size) as pilot:
        await pilot.press("question_mark", "end")
        await until(pilot, lambda: ":suspend" in screen_of(pilot), "the last key")


async def test_an_action_without_a_key_has_its_command_in_the_keys_place() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await shows(pilot, ":theme  Sets the colours")
        lines = screen_of(pilot).splitlines()
        assert (
            len({line.index(says) for line in lines for says in ("Sets the colours", "Marks the row") if says in line})
            == 1
        )


@pytest.mark.parametrize("size", [(120, 40), (160, 45), (200, 60)])
async def test_columns_stand_apart(size: tuple[int, int]) -> None:
    async with unconnected().run_test(size=size) as pilot:
        await pilot.press("question_mark")
        await shows(pilot, "Follows the runs.")
        lines = screen_of(pilot).splitlines()
        (key,) = {line.index("x  ", 20) for line in lines if "Follows the runs." in line}
        first, last = (next(at for at, line in enumerate(lines) if says in line) for says in ("Look", "back."))
        assert {line[key - 2 : key] for line in lines[first : last + 1]} == {"  "}


async def test_what_is_done_here_comes_first() -> None:
    async with unconnected().run_test(size=(120, 60)) as pilot:
        await pilot.press("question_mark")
        await shows(pilot, ":mark", ":theme", ":ribbon", ":executions")
        shown = screen_of(pilot)
        assert shown.index(":mark") < shown.index(":theme")
        assert shown.index(":ribbon") < shown.index(":executions")


async def test_no_scrollbar_is_left_when_there_is_more_room() -> None:
    async with unconnected().run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        await shows(pilot, "Follows the runs.")
        await pilot.resize_terminal(200, 60)
        await shows(pilot, "Goes to the end.")
        await until(pilot, lambda: not pilot.app.screen.query_one("#text").show_vertical_scrollbar, "no scrollbar")
