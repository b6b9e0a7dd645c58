from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.widgets.keys import KeyLine
from tests.live import put, sproc
from tests.tui.pilot import listed, screen_of, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tests.servers import Server


def app_for(server: Server, *, read_only: bool = False) -> TuiApp:
    put(server.client(), *(sproc(f"{letter}.lua", "-- event=set\nreturn 1") for letter in "abc"))
    return TuiApp(Context("", server.url, read_only=read_only), refresh_s=0.2)


def line_of(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(KeyLine).render().plain


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
        assert line_of(pilot).rstrip().endswith("Palette")
        words = line_of(pilot).rsplit("…", 1)[0].split()
        assert "Since" in words
        assert "∆Run" not in words, "what is not allowed goes first"
        await pilot.resize_terminal(160, 24)
        await until(pilot, lambda: "Pause" in line_of(pilot) and "…" not in line_of(pilot), "all of it")
        text = pilot.app.screen.query_one(KeyLine).render()
        dim = {line_of(pilot)[span.start : span.end].strip() for span in text.spans if "dim" in str(span.style)}
        assert "∆Pause" in dim
        assert "Filter" not in dim


async def test_what_is_done_here_comes_before_what_leads_elsewhere_in_whole_words(server: Server) -> None:
    async with app_for(server).run_test(size=(60, 24)) as pilot:
        await listed(pilot)
        words = line_of(pilot).rsplit("…", 1)[0].split()
        assert "∆Run" in words
        whole = {"Open", "Filter", "∆Run", "∆Pause", "∆Edit", "Since", "when"}
        assert {word for word in words if len(word) > 1} <= whole


async def test_what_would_be_typed_or_is_open_already_is_not_offered(server: Server) -> None:
    async with app_for(server).run_test(size=(160, 24)) as pilot:
        await listed(pilot)
        await pilot.press("slash")
        await until(pilot, lambda: "Take it" in line_of(pilot), "what one can do with what one types")
        assert line_of(pilot).split() == ["⏎", "Take", "it", "esc", "Clear", "^p", "Palette"]
        await pilot.press("escape", "x")
        await until(pilot, lambda: "Back" in line_of(pilot), "the executions")
        assert "Executions" not in line_of(pilot)
        assert "Jobs" in line_of(pilot)


async def test_a_wide_screen_names_more_keys_and_only_those_of_the_screen(server: Server) -> None:
    async with app_for(server).run_test(size=(200, 24)) as pilot:
        await listed(pilot)
        words = line_of(pilot)
        assert "h History  q Quit  space Mark  a All" in words, "what stood there before keeps its place"
        assert "…" not in words
        await pilot.press("x")
        await until(pilot, lambda: "F Failures" in line_of(pilot), "other views")
        await pilot.press("slash")
        await until(
            pilot, lambda: line_of(pilot).split()[:5] == ["⏎", "Take", "it", "esc", "Clear"], "the filter's keys"
        )
        assert "Copy" not in line_of(pilot)
