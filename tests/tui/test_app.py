from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.widgets import Input

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.settings import ScreenSettings
from luasprocs_tui.widgets.help import Help
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, app_of, choose, listed, screen_of, shows, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server


async def test_keys_that_come_at_once_go_where_they_belong(server: Server, client: Redis) -> None:
    """As one packet of a slow line brings them: of what is typed into the filter, nothing is an action."""
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        driver = pilot.app._driver
        assert driver is not None
        for _ in range(3):
            for key in ("escape", "slash", *"paR", "enter"):
                driver.send_message(events.Key(key, {"slash": "/"}.get(key, key if len(key) == 1 else None)))
        await until(pilot, lambda: pilot.app.screen.query_one(Input).value == "paR", "the filter")
        await pilot.pause(0.3)
        assert pilot.app.screen.query_one(Input).value == "paR"
        assert len(pilot.app.screen_stack) == 1
        assert not client.smembers(KEYS.paused)


async def test_a_key_that_was_given_already_is_not_missed(server: Server) -> None:
    """After a key that took longer than anyone waits, two may want to give out the same next one."""
    async with app(server).run_test(size=(100, 30)) as pilot:
        shown = pilot.app
        assert isinstance(shown, TuiApp)
        await listed(pilot)
        await shown._give(shown._turn)
        await pilot.press("x")
        await until(pilot, lambda: len(shown.screen_stack) == 2, "the next key")


async def test_commands_and_help(server: Server, client: Redis) -> None:
    assert client.ping()
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help), "the help")
        await until(pilot, lambda: "Shows names as folders" in screen_of(pilot), "the help's text")
        await pilot.press("escape", "colon", *"cron", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CronScreen), "the schedules")
        await pilot.press("escape", "colon", *"nonsense", "enter")
        await until(pilot, lambda: "no command nonsense" in screen_of(pilot), "the refusal")


async def test_a_command_with_words_that_it_does_not_take_does_nothing(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a.lua", "b.lua")))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("colon", *"pause", "space", *"b.lua", "enter")
        await until(pilot, lambda: "pause takes no argument" in screen_of(pilot), "the refusal")
        await pilot.press("colon", *"retry", "enter")
        await until(pilot, lambda: "retry is not for this screen" in screen_of(pilot), "the other refusal")
        assert not client.exists(KEYS.paused)


async def test_themes(server: Server) -> None:
    app = TuiApp(Context("", server.url), ScreenSettings(theme="light"))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        assert app.theme == "luasprocs-light"
        await pilot.press("colon", *"theme", "enter")
        await until(pilot, lambda: app.theme == "luasprocs-contrast", "the next theme")
        await pilot.press("colon", *"theme", "space", *"pink", "enter")
        await until(pilot, lambda: "there is no theme pink" in screen_of(pilot), "the refusal")


async def test_own_keys(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    app = TuiApp(Context("", server.url), ScreenSettings(keys={"pause": "f5"}), refresh_s=0.2)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("p", "f5")
        await until(pilot, lambda: bool(client.sismember(KEYS.paused, "a.lua")), "the pause")
        await until(pilot, lambda: "a.lua is paused" in screen_of(pilot), "what came of it")
        assert "goes on" not in screen_of(pilot)
        await pilot.press("question_mark")
        await until(
            pilot, lambda: " f5 " in screen_of(pilot) and "Change (∆)" in screen_of(pilot), "the help with the own key"
        )


@pytest.mark.wording  # it types the words
async def test_the_palette_has_every_action_that_can_be_done(server: Server) -> None:
    put(server.client(), sproc("a.lua", "return 1"))
    async with TuiApp(Context("", server.url), read_only=True).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        found = {one.title.partition(":")[0] for one in app_of(pilot).get_system_commands(pilot.app.screen)}
        assert {"Executions", "Cron", "Tree", "Filter", "Theme", "Quit"} <= found
        assert not {"Pause", "Run", "Edit"} & found
        await pilot.press("ctrl+p", *"ribbon")
        await shows(pilot, "Since when: Shows errors by the minute", "key W")
        await pilot.press("escape", "ctrl+p", *"schedules")
        await until(pilot, lambda: ":cron" in screen_of(pilot) and ":jobs" not in screen_of(pilot), "what it finds")
        await pilot.press("enter")
        await until(pilot, lambda: "no sproc has a schedule" in screen_of(pilot), "the schedules")
        assert not isinstance(pilot.app.focused, Input)
