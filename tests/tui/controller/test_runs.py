from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from luasprocs_tui.controller.runs import run_words
from luasprocs_tui.widgets.dialog import Ask, Show
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, choose, listed, screen_of, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("a.lua", ("a.lua", [], [])),
        ("a.lua --key k 'x y' -1", ("a.lua", ["k"], ["x y", "-1"])),
        ("--key=k a.lua -- --key", ("a.lua", ["k"], ["--key"])),
    ],
)
def test_what_is_typed_behind_execute(typed: str, found: tuple[str, list[str], list[str]]) -> None:
    assert run_words(typed) == found


@pytest.mark.parametrize("typed", ["'a", "a.lua --key", "--key k"])
def test_what_makes_no_sense_behind_execute(typed: str) -> None:
    from luasprocs.errors import LuasprocsError

    with pytest.raises(LuasprocsError):
        run_words(typed)


async def test_execute_by_command(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return KEYS[1] .. ARGV[1]"))
    async with app(server).run_test(size=(100, 30)) as pilot:
        await listed(pilot)
        await pilot.press("colon", *"execute", "space", *"a.lua", "space", *"--key=k", "space", "v", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Show) and "kv" in screen_of(pilot), "the reply")


async def test_run_shows_the_reply_and_no_escape(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "hello.lua")
        for words, wanted in ((("k1 'k 2'", "you"), "hello you 2"), (("", ""), "hello [/bold]")):
            await pilot.press("R")
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
            for number, text in enumerate(words):
                pilot.app.screen.query_one(f"#line-{number}", Input).value = text
            await pilot.click("#go")
            await until(pilot, lambda: isinstance(pilot.app.screen, Show), "the reply")
            await until(pilot, lambda wanted=wanted: wanted in screen_of(pilot), "the reply's text")  # type: ignore[misc]
            assert "\x1b" not in screen_of(pilot)
            await pilot.press("escape")
    assert client.hget(KEYS.stats("hello.lua"), "runs") == b"2"
