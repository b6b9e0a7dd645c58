from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from textual.widgets import Button

from luasprocs.operations.contexts import Context
from luasprocs.operations.pause import pause
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from tests.live import put, sproc
from tests.tui.pilot import KEYS, TO_ACT_ON, app, app_of, choose, hides, listed, screen_of, shows, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.conftest import OwnServer
    from tests.servers import Server


async def test_pause_and_resume(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("p")
        await until(pilot, lambda: bool(client.sismember(KEYS.paused, "a.lua")), "the pause in Redis")
        await until(pilot, lambda: "paused" in screen_of(pilot), "the pause on the screen")
        await pilot.press("p")
        await until(pilot, lambda: not client.exists(KEYS.paused), "the resume")


async def test_a_deed_that_nothing_answers_is_unknown_and_one_that_was_never_sent_is_not(own_server: OwnServer) -> None:
    own = own_server()
    client = own.client()
    put(client, *(sproc(name, source) for name, source in TO_ACT_ON.items()))
    async with app(own).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        client.client_pause(600_000, all=False)  # writes only: a connection that is made first is no write
        await pilot.press("p")
        await until(pilot, lambda: "outcome unknown" in screen_of(pilot), "what is not known")
        client.client_unpause()
        await until(pilot, lambda: "outcome unknown" not in screen_of(pilot), "its end")
        own.kill()
        await pilot.press("p")
        await until(pilot, lambda: "nothing answers at" in screen_of(pilot), "what is wrong")
        await pilot.pause(0.5)
        assert "unknown" not in screen_of(pilot)


async def test_in_production_the_name_must_be_typed(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn redis.call('INCR', 'ran')"))
    app = TuiApp(Context("shop", server.url, production=True), refresh_s=0.2)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        assert "shop PRODUCTION" in screen_of(pilot)
        await pilot.press("colon", *"execute", "space", *"a.lua", "enter")
        await shows(pilot, "Run a.lua?")
        await pilot.press(*"a.lu", "enter")
        assert pilot.app.screen.query_one("#go", Button).disabled
        await pilot.press("escape")
        assert not client.exists("ran")
        await pilot.press("colon", *"execute", "space", *"a.lua", "enter")
        await shows(pilot, "Run a.lua?")
        await pilot.press(*"a.lua", "enter")
        await until(pilot, lambda: client.get("ran") == b"1", "the run")


async def test_in_production_one_that_runs_wild_is_paused_with_one_confirmation(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a.lua", "b.lua")))
    app = TuiApp(Context("shop", server.url, production=True), refresh_s=0.2)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("p")
        await shows(pilot, "Pause a.lua?")
        assert not client.exists(KEYS.paused)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.smembers(KEYS.paused) == {b"a.lua"}, "the pause")
        await until(pilot, lambda: app_of(pilot).state.paused == {"a.lua"}, "the pause on the screen")
        await pilot.press("p")
        await shows(pilot, "Resume a.lua?", "type a.lua to go on")  # which may do harm
        await pilot.press("escape", "space", "space", "p")
        await shows(pilot, "Pause 2 sprocs?", "type a.lua to go on")


async def test_what_somebody_else_has_paused_goes_on_after_a_question(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a.lua", "b.lua")))
    pause(Registry(client, KEYS), ["a.lua"], by="eva@elsewhere")
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await until(pilot, lambda: app_of(pilot).state.paused == {"a.lua"}, "the pause on the screen")
        await pilot.press("g", "p")
        await shows(pilot, "Resume a.lua?", "a.lua: paused ", " by eva@elsewhere")
        assert client.smembers(KEYS.paused) == {b"a.lua"}
        await pilot.press("tab", "enter")
        await until(pilot, lambda: not client.exists(KEYS.paused), "the end of the pause")
        await until(pilot, lambda: not app_of(pilot).state.paused, "its end on the screen")
        await pilot.press("g", "p")  # its own pause ends as quickly as it began
        await until(pilot, lambda: client.smembers(KEYS.paused) == {b"a.lua"}, "the pause")
        await until(pilot, lambda: app_of(pilot).state.paused == {"a.lua"}, "the pause on the screen")
        await pilot.press("g", "p")
        await until(pilot, lambda: not client.exists(KEYS.paused), "the end of its own")


async def test_a_sync_shows_what_waits_and_asks(server: Server, client: Redis) -> None:
    diff = "--- live/a.lua\n+++ git/a.lua\n@@ -1 +1 @@\n-return 1\n+return 'new'"
    desired: dict[Any, Any] = {"state": "behind", "commit": "c0ffee", "at": "1"}
    desired |= {"updated": json.dumps(["a.lua"]), "diffs": json.dumps([diff])}
    client.hset(KEYS.desired, mapping=desired)
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("s")
        await shows(pilot, "Sync?", "~a.lua", "+return 'new'")
        assert not client.exists(KEYS.control)
        await pilot.press("escape")
        await hides(pilot, "Sync?")
        assert not client.exists(KEYS.control)
        await pilot.press("s")
        await shows(pilot, "Sync?")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: bool(client.exists(KEYS.control)), "the request")
