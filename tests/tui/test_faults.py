from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import listed, screen_of, until

if TYPE_CHECKING:
    from tests.conftest import OwnServer
    from tests.servers import Server


def app(url: str) -> TuiApp:
    return TuiApp(Context("", url), refresh_s=0.2, poll_s=0.1)


async def test_everything_flushed_is_an_empty_registry_on_each_screen(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- every=1h\nreturn 1"))
    async with app(server.url).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        for key in "xcJhiv":
            await pilot.press(key)
            await pilot.pause(0.2)
            if key in "xc":
                client.flushall()
                client.function_flush()
                await pilot.pause(0.4)
                put(client, sproc("a.lua", "-- every=1h\nreturn 1"))
            await pilot.press("escape")
        client.flushall()
        client.function_flush()
        await until(pilot, lambda: "was live until its keys were deleted" in screen_of(pilot), "that there is nothing")
        assert pilot.app.screen.query_one(Table).selected is None
        await pilot.press("enter", "p", "R", "e", "space", "T", "x", "escape")
        put(client, sproc("b.lua", "return 1"))
        await until(pilot, lambda: "b.lua" in screen_of(pilot), "what came back")


async def test_a_password_that_changed_is_said_and_the_data_stays(own_server: OwnServer) -> None:
    own = own_server()
    client = own.client()
    put(client, sproc("a.lua", "return 1"))
    async with app(own.url).run_test(size=(120, 24), notifications=True) as pilot:
        await listed(pilot)
        client.config_set("requirepass", "another")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(pilot, lambda: "connection lost" in screen_of(pilot), "the badge")
        assert "a.lua" in screen_of(pilot)
        await until(pilot, lambda: "password" in screen_of(pilot), "why it does not come back")
        await pilot.press("p", "x", "escape")
        client.config_set("requirepass", "")
        await until(pilot, lambda: "in sync" in screen_of(pilot), "that it goes on")


async def test_functions_that_are_gone_are_a_problem_and_come_back(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- every=1h\nreturn 1"))
    async with app(server.url).run_test(size=(120, 24), notifications=True) as pilot:
        await listed(pilot)
        client.function_flush()
        await until(pilot, lambda: "the engine is not loaded" in screen_of(pilot), "the problem")
        await pilot.press("R", "enter")
        await until(pilot, lambda: "no engine is loaded" in screen_of(pilot), "why it can't run")
        await pilot.press("c")
        await until(pilot, lambda: "schedules can't be read" in screen_of(pilot), "why there are no schedules")
        put(client, sproc("a.lua", "-- every=1h\nreturn 1"))
        await until(pilot, lambda: "every 1h" in screen_of(pilot), "the schedules again")


async def test_a_source_of_ten_thousand_lines_scrolls(server: Server) -> None:
    lines = [f"local v{number} = {number} -- line {number + 1}" for number in range(150)]
    put(
        server.client(),
        sproc("long.lua", "do " + "\n".join(lines) + "\nend\n" + "-- x\n" * 9_848 + "return 'last'\n"),
    )
    async with app(server.url).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "local v0" in screen_of(pilot), "the first lines")
        await pilot.press("G")
        await until(pilot, lambda: "return 'last'" in screen_of(pilot), "the last line")
        await pilot.press("g", "escape")
        await until(pilot, lambda: "RUN/S" in screen_of(pilot), "the list")
