"""Since when, and by which generation, as somebody sees it who opens the screen late."""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.operations.contexts import Context
from luasprocs.operations.run import run
from luasprocs.registry.history import Generation
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.ribbon import RibbonScreen, about
from luasprocs_tui.values import times
from luasprocs_tui.widgets.dialog import Confirm
from luasprocs_tui.widgets.ribbon import Ribbon
from tests.live import put, sproc
from tests.tui.pilot import KEYS, listed, until

if TYPE_CHECKING:
    from redis import Redis
    from textual.pilot import Pilot

    from tests.servers import Server

GOOD, BAD = sproc("a.lua", "return 1"), sproc("a.lua", "error('boom')")
OTHER = sproc("b.lua", "return 2")


def broken(client: Redis) -> None:
    """A sproc that went well ten minutes ago, and fails since a generation of now."""
    registry = Registry(client, KEYS)
    put(client, GOOD, OTHER)
    run(registry, "a.lua", [], [], by="ann")
    ten_ago = client.time()[0] // 60 - 10
    for name in ("a.lua", ""):
        client.hset(KEYS.stats(name), "minute", f"{ten_ago} 0 0")
    put(client, BAD, OTHER, author="Ann <a@b>", subject="Charge twice")
    for _ in range(3):
        with contextlib.suppress(Exception):
            run(registry, "a.lua", [], [], by="ann")
    client.fcall(KEYS.function("flush"), 0)


def text_of(pilot: Pilot[Any]) -> str:
    ribbon = pilot.app.screen.query(Ribbon)
    return ribbon.first().render().plain if ribbon else ""


@pytest.mark.wording
async def test_a_failing_sproc_since_its_commit_and_the_way_back(server: Server) -> None:
    broken(server.client())
    async with TuiApp(Context("", server.url)).run_test(size=(100, 30)) as pilot:
        await listed(pilot)
        await pilot.press("g", "W")
        await until(pilot, lambda: "errors began" in text_of(pilot), "what is known of the errors")
        assert isinstance(pilot.app.screen, RibbonScreen)
        shown = text_of(pilot)
        assert re.search(r"errors began (?:\d+ s after|within a second of) gen 2 by Ann: Charge twice", shown)
        assert "2! Ann: Charge twice" in shown, shown
        assert "4 runs" in shown
        assert "3 errors" in shown
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the way back")
        assert "Roll back to generation 1?" in "".join(
            str(one.render()) for one in pilot.app.screen.query("Label, Static")
        )


@pytest.mark.wording
async def test_all_of_them_by_a_command_and_more_time(server: Server) -> None:
    broken(server.client())
    async with TuiApp(Context("", server.url), read_only=True).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("g", "W")
        await until(pilot, lambda: "errors began" in text_of(pilot), "the sproc's")
        await pilot.press("a")
        await until(pilot, lambda: "! a.lua: errors began" in text_of(pilot), "that of all")
        await pilot.press("plus", "plus", "plus", "plus", "plus")
        assert "last 24 hours" in text_of(pilot)
        await pilot.press("minus", "minus", "minus", "minus", "minus")
        assert "last hour" in text_of(pilot)
        chosen = pilot.app.screen.query_one(Ribbon).chosen
        await pilot.press("left")
        earlier = pilot.app.screen.query_one(Ribbon).chosen
        assert chosen
        assert earlier
        assert earlier.generation == chosen.generation - 1 == 1
        await pilot.press("b")
        await pilot.pause()
        assert isinstance(pilot.app.screen, RibbonScreen), "nothing is changed with --read-only"
        await pilot.press("escape")
        await listed(pilot)
        await pilot.press("colon", *"ribbon", "enter")
        await until(pilot, lambda: bool(text_of(pilot)), "by its command")


@pytest.mark.wording
async def test_nothing_ran(server: Server) -> None:
    put(server.client(), GOOD)
    async with TuiApp(Context("", server.url)).run_test(size=(60, 20)) as pilot:
        await listed(pilot)
        await pilot.press("W")
        await until(pilot, lambda: "nothing ran in the last day" in text_of(pilot), "why it is empty")


@pytest.mark.wording
async def test_a_key_is_drawn_at_once(server: Server) -> None:
    client = server.client()
    broken(client)
    for number in range(3, 50):
        put(client, sproc("a.lua", f"error('{number}')"), OTHER)
    async with TuiApp(Context("", server.url)).run_test(size=(160, 45)) as pilot:
        await listed(pilot)
        await pilot.press("g", "W")
        await until(pilot, lambda: "runs" in text_of(pilot), "read")
        ribbon = pilot.app.screen.query_one(Ribbon)
        began = time.perf_counter()
        for _ in range(20):
            ribbon.zoom(1)
            ribbon.render()
            ribbon.zoom(-1)
            ribbon.render()
        assert (time.perf_counter() - began) / 40 < 0.05


def test_the_chosen_generation_says_its_time_in_the_zone_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Generation(2, "sync", "c0ffee", "Ann", "Twice", "main", "2026-01-14T23:17:50Z", "ci@host", {}, {}, {})
    assert "2026-01-14 23:17:50 UTC" in about(one)
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    times.show_local(local=True)
    try:
        assert "2026-01-15 00:17:50 CET" in about(one)
    finally:
        times.show_local(local=False)
        monkeypatch.undo()
        time.tzset()
