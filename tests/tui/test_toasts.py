from __future__ import annotations

import pytest

from luasprocs_tui.values.rows import Row
from luasprocs_tui.widgets.dialog import Confirm
from luasprocs_tui.widgets.form import Form
from tests.tui.pilot import app_of, filled, screen_of, unconnected, until

LONG = "the server refused it, and this is why it did so, in a sentence that takes more than one line of it"


@pytest.mark.parametrize(
    "said", ["short", LONG, "as wide as the screen, but for its edge " + "and a word more " * 2 + "last"]
)
async def test_what_is_said_covers_no_line_that_one_reads(said: str) -> None:
    rows = tuple(Row(f"team/{at:03}.lua", "set orders:*", description="what it does " * 20) for at in range(60))
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        await filled(pilot, rows)
        await pilot.press("G")
        app_of(pilot).toast(said)
        await until(pilot, lambda: said.rsplit(maxsplit=1)[-1] in screen_of(pilot), "what is said")
        await until(pilot, lambda: screen_of(pilot).count("team/059.lua") == 2, "the row and what is said of it")
        lines = screen_of(pilot).split("\n")
        row, detail = (line for line in lines if "team/059.lua" in line)
        assert said.split(maxsplit=1)[0] not in row
        assert detail.rstrip().endswith("…")
        assert said.split(maxsplit=1)[0] not in detail
        assert "Open" in lines[-1]


async def test_what_is_said_covers_no_button_of_a_dialog() -> None:
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.app.push_screen(Confirm("Sync?", "\n".join(f"+name{at}.lua" for at in range(100)), "Sync"))
        app_of(pilot).toast(LONG)
        await until(pilot, lambda: "line of it" in screen_of(pilot), "what is said")
        await until(pilot, lambda: "Cancel" in screen_of(pilot), "the buttons")
        assert "╰─" in screen_of(pilot)


async def test_what_is_said_cuts_no_button_of_a_form() -> None:
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.app.push_screen(Form("Header of a.lua", {}, [f"x_{at}" for at in range(30)], {}, lambda *_: None))
        await until(pilot, lambda: "Apply (ctrl+s)" in screen_of(pilot), "the buttons")
        app_of(pilot).toast("this is your draft of before")
        await until(pilot, lambda: "draft of before" in screen_of(pilot), "what is said")
        await until(
            pilot, lambda: "Apply (ctrl+s)" in screen_of(pilot) and "╰─" in screen_of(pilot), "the buttons, still"
        )
        app_of(pilot).clear_notifications()
        await until(pilot, lambda: "x_11" in screen_of(pilot), "as many fields as there is room for")


async def test_what_was_said_before_cuts_no_button_of_a_form() -> None:
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        app_of(pilot).toast("nothing was changed")
        await until(pilot, lambda: "nothing was changed" in screen_of(pilot), "what is said")
        await pilot.app.push_screen(Form("Header of a.lua", {}, [f"x_{at}" for at in range(30)], {}, lambda *_: None))
        await until(
            pilot, lambda: "Apply (ctrl+s)" in screen_of(pilot) and "╰─" in screen_of(pilot), "the whole of the form"
        )
        assert "nothing was changed" in screen_of(pilot)
