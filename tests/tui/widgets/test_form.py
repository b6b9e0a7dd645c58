from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from luasprocs_tui.widgets.form import DRAFT, Form, Kept
from tests.tui.pilot import KEYS, app, choose, screen_of, unconnected, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from tests.servers import Server


async def test_what_a_value_would_do_comes_too_late_for_a_warning(server: Server) -> None:
    answers: list[Callable[[], object]] = []

    def slow(key: str, values: Mapping[str, str], then: Callable[[str], object]) -> None:
        answers.append(lambda: then(f"{values[key]} matches 0 keys now"))

    async with app(server).run_test(size=(100, 30)) as pilot:
        form = Form("a.lua", {"key": "nap*"}, ["key"], {}, slow)
        pilot.app.push_screen(form)
        await until(pilot, lambda: pilot.app.screen is form, "the form")
        form.query_one("#value-key", Input).value = "doze*"
        await until(pilot, lambda: len(answers) == 1, "the question")
        await pilot.press("escape")
        await until(pilot, lambda: "unsaved changes (key)" in screen_of(pilot), "the warning")
        answers[0]()
        await pilot.pause()
        assert "unsaved changes (key)" in screen_of(pilot)


async def test_a_form_is_left_with_the_second_escape_if_something_was_typed(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Form), "an unchanged form is left at once")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form again")
        for value in ("nap*", "doze*"):
            pilot.app.screen.query_one("#value-key", Input).value = value
            await pilot.pause()
            await pilot.press("escape")
            await until(pilot, lambda: "unsaved changes (key)" in screen_of(pilot), "the warning")
            assert isinstance(pilot.app.screen, Form)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Form), "the end")
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"


async def test_what_is_typed_goes_into_a_field_that_is_seen() -> None:
    keys = [f"key{at:02}" for at in range(24)]
    async with unconnected().run_test(size=(80, 24)) as pilot:
        form = Form("a.lua", {}, keys, {}, lambda *_: None)
        await pilot.app.push_screen(form)
        for press, at in (("down", 1), ("up", 0), ("up", 0), ("down", 1)):
            await pilot.press(press)
            assert form.focused is form.query_one(f"#value-{keys[at]}")
        await pilot.press("pagedown", "pagedown", *"nap")
        await until(pilot, lambda: "nap" in screen_of(pilot), "the field, far below")
        assert "key01" not in screen_of(pilot)
        form.query_one("#fields").scroll_home(animate=False)  # by the wheel
        await until(pilot, lambda: "key00" in screen_of(pilot) and "nap" not in screen_of(pilot), "the beginning")
        typed = form.focused
        await pilot.press(*"doze")
        await until(pilot, lambda: "doze" in screen_of(pilot), "what was typed")
        assert form.focused is typed


async def test_a_form_begins_at_its_first_field() -> None:
    keys = [f"key{at:02}" for at in range(24)]
    async with unconnected().run_test(size=(80, 24)) as pilot:
        form = Form("a.lua", {"key01": "x", "key23": "y"}, keys, {}, lambda *_: None)
        pilot.app.push_screen(form)
        await until(pilot, lambda: pilot.app.screen is form and form.focused is not None, "the form")
        for _ in range(5):
            await pilot.pause()
        assert form.query_one("#fields").scroll_y == 0
        assert "key00" in screen_of(pilot)


async def test_a_draft_is_named_in_the_form_as_long_as_nothing_else_is_to_be_said() -> None:
    async with unconnected().run_test(size=(80, 24), notifications=True) as pilot:
        check = {"key": lambda value: "no key" * (value == "sleep*")}
        form = Form("a.lua", {"key": "nap*"}, ["key"], check, lambda *_: None, Kept({"key": "doze*"}))
        pilot.app.push_screen(form)
        await until(pilot, lambda: DRAFT in screen_of(pilot), "that it is a draft")
        form.query_one("#value-key", Input).value = "sleep*"
        await until(pilot, lambda: "no key" in screen_of(pilot) and DRAFT not in screen_of(pilot), "what is wrong")
        form.query_one("#value-key", Input).value = "nap*"
        await until(pilot, lambda: DRAFT in screen_of(pilot), "that it is a draft, again")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not form, "the end")
        assert DRAFT not in screen_of(pilot)
