"""Settings of the screen: contexts that are switched, also while one hangs; production; themes; own keys."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Button, Input

from luasprocs.contract.keys import Keys
from luasprocs.errors import SettingsError
from luasprocs_tui import actions
from luasprocs_tui.app import TuiApp
from luasprocs_tui.cli import run
from luasprocs_tui.settings import Context, ScreenSettings, read_settings, settings_file
from luasprocs_tui.widgets.dialog import Choose, Confirm
from tests.live import put, sproc
from tests.tui.test_sprocs_screen import app_of, listed, screen_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnServer
    from tests.servers import Server

KEYS = Keys()
SETTINGS = """
theme = "light"

[contexts.shop]
redis = "rediss://ops:secret@shop.example.com:6380/0"
production = true
read_only = true

[contexts.local]
redis = "redis://127.0.0.1:6379/1"
namespace = "eu"

[keys]
pause = "P,f5"
run-sproc = "X"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "screen.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_settings_are_read(tmp_path: Path) -> None:
    found = read_settings(written(tmp_path, SETTINGS.replace("run-sproc", "execute")))
    shop, local = found.contexts["shop"], found.contexts["local"]
    assert (shop.production, shop.read_only, local.production) == (True, True, False)
    assert local.namespace == "eu"
    assert (found.theme, dict(found.keys)) == ("light", {"pause": "P,f5", "execute": "X"})
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("theme = 1", "theme: take one of dark, light, contrast"),
        ("themes = 'dark'", "did you mean 'theme'?"),
        ("[contexts.a]\nurl = 'redis://h'", 'contexts.a has no redis = "URL"'),
        ("[contexts.a]\nredis = 'http://h'", "contexts.a: the Redis URL can't be used"),
        ("[contexts.a]\nredis = 7", "contexts.a: take a text"),
        ("[contexts.a]\nredis = 'redis://h'\nproduction = 'yes'", "contexts.a: take true or false"),
        ("contexts = 1", "contexts is no table"),
        ("[keys]\npaus = 'P'", "keys.paus: no such action; did you mean 'pause'?"),
        ("[keys]\npause = ''", "keys.pause: take a key"),
        ("[keys]\npause = 'e'", "keys: pause and edit both have 'e' in source"),
        ("[keys]\npause = '/'", "keys: filter and pause both have '/' in sprocs"),
        ("theme = ", "can't be read"),
    ],
)
def test_what_is_wrong_in_them_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_settings(file)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)


def test_where_they_are(tmp_path: Path) -> None:
    assert settings_file({"LUASPROCS_SCREEN": "/x.toml"}).as_posix() == "/x.toml"
    assert settings_file({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "luasprocs" / "screen.toml"
    assert read_settings(tmp_path / "none.toml") == ScreenSettings()


def test_no_two_actions_of_a_screen_have_one_key() -> None:
    assert actions.clash({}) == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--context", "nowhere"], "there is no context 'nowhere': take one of shop, local"),
        (["--context", "shop", "--redis", "redis://h"], "not both"),
        (["--theme", "pink"], "there is no theme 'pink'"),
    ],
)
def test_bad_arguments(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUASPROCS_SCREEN", str(written(tmp_path, SETTINGS.replace("run-sproc", "execute"))))
    monkeypatch.delenv("LUASPROCS_REDIS", raising=False)
    assert run(args) == 2
    assert said in capsys.readouterr().err


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
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose), "the choice")
        await pilot.press("enter")
        await until(pilot, lambda: "first.lua" in screen_of(pilot), "the first again")
        await pilot.press("colon", *"ctx", "space", *"three", "enter")
        await until(pilot, lambda: "there is no context three" in screen_of(pilot), "the refusal")


async def test_in_production_the_name_must_be_typed(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn redis.call('INCR', 'ran')"))
    app = TuiApp(Context("shop", server.url, production=True), refresh_s=0.2)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        assert "shop PRODUCTION" in screen_of(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press(*"a.lu", "enter")
        assert pilot.app.screen.query_one("#go", Button).disabled
        await pilot.press("escape")
        assert not client.exists(KEYS.paused)
        await pilot.press("p", *"a.lua", "enter")
        await until(pilot, lambda: bool(client.sismember(KEYS.paused, "a.lua")), "the pause")
        await pilot.press("colon", *"execute", "space", *"a.lua", "enter")
        await until(pilot, lambda: "Run a.lua?" in screen_of(pilot), "the question about the run")
        assert not client.exists("ran")
        await pilot.press(*"a.lua", "enter")
        await until(pilot, lambda: client.get("ran") == b"1", "the run")


async def test_a_read_only_context_changes_nothing(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn redis.call('INCR', 'ran')"))
    app = TuiApp(Context("shop", server.url, read_only=True), refresh_s=0.2)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("p", "colon", *"execute", "space", *"a.lua", "enter")
        await until(pilot, lambda: "read-only" in screen_of(pilot), "the refusal")
        assert not client.exists("ran", KEYS.paused)


async def test_themes(server: Server) -> None:
    app = TuiApp(Context("", server.url), ScreenSettings(theme="light"))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        assert app.theme == "textual-light"
        await pilot.press("colon", *"theme", "enter")
        await until(pilot, lambda: app.theme == "luasprocs-contrast", "the next theme")
        await pilot.press("colon", *"theme", "space", *"pink", "enter")
        await until(pilot, lambda: "there is no theme pink" in screen_of(pilot), "the refusal")


async def test_own_keys(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    app = TuiApp(Context("", server.url), ScreenSettings(keys={"pause": "f5"}), refresh_s=0.2)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("p", "f5")
        await until(pilot, lambda: bool(client.sismember(KEYS.paused, "a.lua")), "the pause")
        await until(pilot, lambda: "a.lua is paused" in screen_of(pilot), "what came of it")
        assert "goes on" not in screen_of(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: "f5        :pause" in screen_of(pilot), "the help with the own key")


async def test_the_palette_has_every_action_that_can_be_done(server: Server) -> None:
    put(server.client(), sproc("a.lua", "return 1"))
    async with TuiApp(Context("", server.url), read_only=True).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        found = {one.title.partition(":")[0] for one in app_of(pilot).get_system_commands(pilot.app.screen)}
        assert {"Executions", "Cron", "Tree", "Filter", "Theme", "Quit"} <= found
        assert not {"Pause", "Run", "Edit"} & found
        await pilot.press("ctrl+p", *"schedules")
        await until(
            pilot, lambda: ":cron, key c" in screen_of(pilot) and ":jobs" not in screen_of(pilot), "what it finds"
        )
        await pilot.press("enter")
        await until(pilot, lambda: "no sproc has a schedule" in screen_of(pilot), "the schedules")
        assert not isinstance(pilot.app.focused, Input)
