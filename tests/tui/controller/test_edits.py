from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from luasprocs_tui.widgets.form import Form
from tests.live import put, sproc
from tests.tui.pilot import KEYS, TO_ACT_ON, app, choose, screen_of, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server


async def test_a_header_is_edited_live(server: Server, client: Redis, size: tuple[int, int]) -> None:
    async with app(server).run_test(size=size, notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        field = pilot.app.screen.query_one("#value-key", Input)
        field.value = ""
        await pilot.pause()
        field.value = "nap*"
        pilot.app.screen.query_one("#value-timeout", Input).value = "soon"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Form), "a bad value must not be applied"
        assert "timeout" in screen_of(pilot)
        pilot.app.screen.query_one("#value-timeout", Input).value = "2s"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit in Redis")
        assert client.hget(KEYS.name("a.lua"), "timeout") == b"2s"
        assert [one.name for one in edits_of(read_live(Registry(client, KEYS)))] == ["a.lua"]
        await until(pilot, lambda: "edited" in screen_of(pilot), "the badge of the edit")
        await pilot.press("u")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"dream*", "the undo")


async def test_an_edit_of_what_changed_meanwhile_shows_both_and_asks(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        put(client, *(sproc(name, source + "\n-- by another\n") for name, source in TO_ACT_ON.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question")
        assert "by another" in screen_of(pilot)
        assert "key = nap*" in screen_of(pilot)
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form again")
        put(client, *(sproc(name, source + "\n-- by a third\n") for name, source in TO_ACT_ON.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question again")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit on top")
        assert "by a third" in str(client.hget(KEYS.name("a.lua"), "source"))
