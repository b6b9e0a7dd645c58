from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import ScreenSettings
from luasprocs_tui.widgets.contexts import Contexts
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import (
    KEYS,
    SOURCES,
    app,
    choose,
    hides,
    listed,
    put_sources,
    screen_of,
    shows,
    text_of,
    unconnected,
    until,
)

if TYPE_CHECKING:
    from redis import Redis
    from textual.pilot import Pilot

    from tests.conftest import OwnServer
    from tests.servers import Server


async def test_a_context_is_left_for_another_also_while_it_hangs(server: Server, own_server: OwnServer) -> None:
    own = own_server()
    put(own.client(), sproc("first.lua", "return 1"))
    put(server.client(), sproc("second.lua", "return 2"))
    contexts = {"one": Context("one", own.url), "two": Context("two", server.url)}
    app = TuiApp(contexts["one"], ScreenSettings(contexts), refresh_s=0.2, poll_s=0.1)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: "first.lua" in screen_of(pilot), "the first")
        assert " one " in screen_of(pilot)
        os.kill(own.pid, signal.SIGSTOP)
        try:
            await pilot.press("x", "colon", *"ctx", "space", *"two", "enter")
            await until(pilot, lambda: "second.lua" in screen_of(pilot), "the second")
            assert " two " in screen_of(pilot)
            assert "first.lua" not in screen_of(pilot)
        finally:
            os.kill(own.pid, signal.SIGCONT)
        await pilot.press("C")
        await until(pilot, lambda: isinstance(pilot.app.screen, Contexts), "the choice")
        await shows(pilot, "NAME", "STATE", "FAILING", "DAEMONS", own.url)
        await until(pilot, lambda: sum("in sync" in line for line in dialog_of(pilot)) == 2, "how both are")
        await pilot.press(*"tw")
        await until(pilot, lambda: not any(own.url in line for line in dialog_of(pilot)), "two alone")
        await pilot.press("backspace", "backspace", *"on")
        await until(pilot, lambda: any(own.url in line for line in dialog_of(pilot)), "one alone")
        await pilot.press("enter")
        await until(pilot, lambda: "first.lua" in screen_of(pilot), "the first again")
        await pilot.press("colon", *"ctx", "space", *"three", "enter")
        await until(pilot, lambda: "there is no context three" in screen_of(pilot), "the refusal")


def dialog_of(pilot: Pilot[None]) -> list[str]:
    return [line for line in screen_of(pilot).split("\n") if "│" in line]


async def test_a_read_only_context_changes_nothing(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn redis.call('INCR', 'ran')"))
    app = TuiApp(Context("shop", server.url, read_only=True), refresh_s=0.2)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("p", "colon", *"execute", "space", *"a.lua", "enter")
        await until(pilot, lambda: "read-only" in screen_of(pilot), "the refusal")
        assert not client.exists("ran", KEYS.paused)


async def test_read_only_changes_nothing(server: Server, client: Redis) -> None:
    async with app(server, read_only=True).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        for key in ("p", "e", "R", "u", "s", "S"):
            await pilot.press(key)
            await pilot.pause()
        assert len(pilot.app.screen_stack) == 1
        assert not client.exists(KEYS.paused, KEYS.suspended, KEYS.control)


@pytest.mark.parametrize("ours", [True, False], ids=["option", "context"])
async def test_a_key_that_changes_something_says_why_it_does_not(server: Server, ours: bool) -> None:
    put(server.client(), sproc("a.lua", "-- cron=0 0 1 1 *\nreturn 1"))
    app = TuiApp(Context("shop", server.url, read_only=not ours), refresh_s=0.2, read_only=ours)
    why = "start without --read-only" if ours else "the settings say so of the context shop"
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        for place, key, label in (
            ("", "p", "Pause"),
            ("", "E", "Editor"),
            ("c", "p", "Pause"),
            ("escape", "S", "Suspend"),
        ):
            await pilot.press(*([place] if place else []), key)
            await shows(pilot, f"{key} ({label}): read-only", why)
            pilot.app.clear_notifications()
            await hides(pilot, "read-only:")
        await pilot.press("z", "7")  # which do nothing
        await pilot.pause()
        assert "read-only:" not in screen_of(pilot)


async def test_without_a_server_it_paints_says_so_and_comes_back_with_the_server(own_server: OwnServer):
    server = own_server(persistent=True)
    put_sources(server.client(), SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=0.05).run_test() as pilot:
        await listed(pilot)
        server.kill()
        await until(pilot, lambda: "connection lost, data" in text_of(pilot, "#badge"), "the badge")
        assert len(pilot.app.screen.query_one(Table).visible_keys) == len(SOURCES)
        await pilot.press("enter")
        await until(pilot, lambda: "nothing answers" in text_of(pilot, "#title"), "the reason")
        await pilot.press("escape")
        server.restart()
        await until(pilot, lambda: "connection lost" not in text_of(pilot, "#badge"), "the server again")


async def test_a_hung_server_keeps_nobody_from_quitting(own_server: OwnServer):
    server = own_server()
    put_sources(server.client(), SOURCES)
    try:
        async with TuiApp(Context("", server.url), refresh_s=0.01).run_test() as pilot:
            await listed(pilot)
            os.kill(server.pid, signal.SIGSTOP)
            await pilot.press("r", "down", "enter", "q")
        # What asyncio.run does at its end: it waits for every thread of a worker.
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 3)
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_a_connection_that_comes_when_the_screen_was_left_reads_nothing() -> None:
    left = unconnected()
    async with left.run_test(size=(80, 24)):
        pass
    left._connection = None  # as if its thread had been importing what it needs
    late = threading.Thread(target=lambda: left.connection.follow(tuple, 3600), daemon=True)
    late.start()
    late.join(10)
    assert not late.is_alive(), "Python waits for it before it ends"
