from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import KEYS, SOURCES, listed, put_sources, screen_of, text_of, until

if TYPE_CHECKING:
    from tests.servers import Server


async def test_an_open_source_follows_what_is_live(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 'old'"))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "return 'old'" in screen_of(pilot), "the source")
        put(client, sproc("a.lua", "-- event=set\nreturn 'new'"))
        await until(pilot, lambda: "return 'new'" in screen_of(pilot), "the new one")
        await pilot.press("p")
        await until(pilot, lambda: "paused" in text_of(pilot, "#title"), "the state")
        put(client, sproc("b.lua", "return 1"))
        await until(pilot, lambda: "was deleted" in text_of(pilot, "#title"), "that it is gone")


async def test_enter_opens_the_source_with_line_numbers_and_escape_goes_back(server: Server, size: tuple[int, int]):
    put_sources(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test(size=size) as pilot:
        await listed(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "hello world" in screen_of(pilot), "the source")
        assert "2  local greeting = 'hello world'" in screen_of(pilot)
        assert "3 lines" in text_of(pilot, "#title")
        await pilot.press("escape")
        assert pilot.app.screen.query_one(Table).selected == "sc1.lua"


async def test_the_source_of_what_fails_opens_at_the_line_of_its_error(server: Server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nlocal x = 1\n" + "x = x + 1\n" * 40 + "error('no card')\n"))
    failing: dict[Any, Any] = {
        "errors": 3,
        "last_status": "error",
        "last_error": "ERR a.lua:43: no card",
        "failed_in_a_row": 3,
    }
    client.hset(KEYS.stats("a.lua"), mapping=failing)
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "43> error('no card')" in screen_of(pilot), "the line, marked")
        await until(pilot, lambda: "failing  43: no card" in text_of(pilot, "#title"), "why")


async def test_a_sproc_that_went_meanwhile_says_so(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=60).run_test() as pilot:
        await listed(pilot)
        client.delete(KEYS.name("billing/charge.lua"))
        await pilot.press("enter")
        await until(pilot, lambda: "was deleted" in text_of(pilot, "#title"), "the message")
