from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.text import Text
from textual.widgets import Static

from luasprocs_tui.widgets.dialog import Ask, Choose, Confirm, Show
from tests.tui.pilot import screen_of, unconnected, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot
    from textual.screen import Screen

LINES = "\n".join(f"line {at:03}" for at in range(100))
KEYS = (
    ("j", "line 001", "line 000"),
    ("k", "line 000", None),
    ("G", "line 099", "line 000"),
    ("ctrl+u", "line 083", "line 099"),
    ("g", "line 000", "line 099"),
    ("ctrl+d", "line 009", "line 000"),
    ("ctrl+f", "line 030", "line 009"),
    ("ctrl+b", "line 009", "line 030"),
)
"""Each after those before: what is seen then, and what is no more."""


@pytest.mark.parametrize(
    "dialog", [lambda: Show("Read", LINES), lambda: Confirm("Sync?", LINES, "Sync")], ids=["text", "question"]
)
async def test_the_keys_of_a_list_scroll_a_dialog(dialog: Callable[[], Screen[object]]) -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.app.push_screen(dialog())
        await until(pilot, lambda: "line 005" in screen_of(pilot), "the text")
        for key, seen, gone in KEYS:
            await pilot.press(key)
            await until(pilot, partial(stands, pilot, seen, gone), f"{key}: {seen}")


def stands(pilot: Pilot[None], seen: str, gone: str | None) -> bool:
    return seen in screen_of(pilot) and (not gone or gone not in screen_of(pilot))


async def test_the_keys_of_a_list_move_in_a_choice() -> None:
    chosen: list[object] = []
    async with unconnected().run_test(size=(80, 24)) as pilot:
        for key, wanted in (("G", "99"), ("ctrl+d", "?"), ("j", "1"), ("end", "99")):
            pilot.app.push_screen(Choose("One", [(str(at), f"option {at}") for at in range(100)]), chosen.append)
            await until(pilot, lambda: isinstance(pilot.app.screen, Choose), "the choice")
            await pilot.press(key, "enter")
            await until(pilot, lambda: not isinstance(pilot.app.screen, Choose), "the answer")
            assert chosen[-1] == wanted or (wanted == "?" and 3 < int(str(chosen[-1])) < 12), (key, chosen)


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (60, 15)])
async def test_a_dialog_is_as_high_as_what_it_says_and_its_buttons_are_seen(size: tuple[int, int]) -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.app.push_screen(Confirm("Sync?", LINES, "Sync", "shop"))
        await until(pilot, lambda: "line 005" in screen_of(pilot), "the text")
        await pilot.resize_terminal(*size)
        await until(pilot, partial(is_full, pilot, size[1]), "the dialog in its new size")
        await pilot.app.push_screen(Ask("Run a.lua", ("KEYS", "ARGV"), "Run", (), "a note"))
        await until(pilot, lambda: "a note" in screen_of(pilot) and "Run  " in screen_of(pilot), "what is asked")


def is_full(pilot: Pilot[None], height: int) -> bool:
    """Whether it takes nine tenths of the screen, the buttons just above its edge, the text just above these."""
    lines = screen_of(pilot).split("\n")
    begin, end = (next((at for at, line in enumerate(lines) if corner in line), 0) for corner in "╭╰")
    buttons = next((at for at, line in enumerate(lines) if "Cancel" in line), 0)
    return (end - begin + 1, end - buttons, "type shop" in lines[buttons - 3]) == (int(height * 0.9), 2, True)


async def test_a_reply_has_no_colours_of_a_diff() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        for diff, style in ((False, ""), (True, "red")):
            await pilot.app.push_screen(Show("a.lua replied", "-13.50", diff=diff))
            await until(pilot, lambda: "-13.50" in screen_of(pilot), "the reply")
            shown = pilot.app.screen.query_one("#text Static", Static).content
            assert isinstance(shown, Text)
            assert "".join(str(span.style) for span in shown.spans) == style
            await pilot.press("escape")


async def test_a_text_that_fits_has_no_scrollbar() -> None:
    """A bar that was there for a moment would stay: it takes a column, for which the text takes a line more."""
    async with unconnected().run_test(size=(80, 24)) as pilot:
        text = "\n".join(["x" * 68, *(f"line {at}" for at in range(15))])
        await pilot.app.push_screen(Show("Generation 5", text))
        await until(pilot, lambda: "line 14" in screen_of(pilot), "the end of the text")
        for _ in range(5):
            await pilot.pause()
        assert "x" * 68 in screen_of(pilot)
        assert not pilot.app.screen.query_one("#text").show_vertical_scrollbar
