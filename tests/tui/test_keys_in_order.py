"""What is typed goes to what it was typed for, however slowly that comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.containers import Vertical
from textual.widgets import Input

from luasprocs_tui import keys_in_order
from luasprocs_tui.keys_in_order import KeysInOrder

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.pilot import Pilot

SLOW_S = 0.3


class Slow(Vertical):
    """Two lines; the second has the focus some time after the first was submitted."""

    def compose(self) -> ComposeResult:
        yield Input(id="first")
        yield Input(id="second")

    async def on_input_submitted(self) -> None:
        await asyncio.sleep(SLOW_S)
        self.query_one("#second").focus()


class SlowApp(KeysInOrder):
    def compose(self) -> ComposeResult:
        yield Slow()


def send(pilot: Pilot[None], *keys: str) -> None:
    driver = pilot.app._driver
    assert driver is not None
    for key in keys:
        driver.send_message(events.Key(key, key if len(key) == 1 else None))


async def typed(pilot: Pilot[None], text: str) -> tuple[str, str]:
    """Waits until this stands in one of the lines, and gives both."""
    lines = [pilot.app.query_one(f"#{name}", Input) for name in ("first", "second")]
    for _ in range(200):
        if any(line.value.endswith(text) for line in lines):
            break
        await pilot.pause(0.02)
    return lines[0].value, lines[1].value


async def test_a_key_waits_for_what_the_one_before_leads_to() -> None:
    async with SlowApp().run_test() as pilot:
        send(pilot, "a", "enter", "b", "c")
        assert await typed(pilot, "c") == ("a", "bc")


@pytest.mark.parametrize("released", [True, False], ids=["released", "not released"])
async def test_the_end_of_a_hold_lets_no_key_past_another_one(monkeypatch, *, released: bool) -> None:
    """The hold's end comes while a later key is being dealt with."""
    monkeypatch.setattr(keys_in_order, "HOLD_S", SLOW_S / 3)
    async with SlowApp().run_test() as pilot:
        shown = pilot.app
        assert isinstance(shown, SlowApp)
        hold = shown.hold_keys()
        if released:
            shown.release_keys(hold)
        send(pilot, "enter", "b")
        assert await typed(pilot, "b") == ("", "b")


async def test_what_is_typed_on_waits_for_what_was_asked_for() -> None:
    async with SlowApp().run_test() as pilot:
        shown = pilot.app
        assert isinstance(shown, SlowApp)
        holds = [shown.hold_keys(), shown.hold_keys()]
        send(pilot, "a", "b", "c")
        await pilot.pause(0.2)
        lines = shown.query_one("#first", Input), shown.query_one("#second", Input)
        assert lines[0].value == "a"
        shown.release_keys(holds[0])
        shown.release_keys(holds[0])
        await pilot.pause(0.1)
        assert lines[0].value == "a"
        lines[1].focus()
        shown.release_keys(holds[1])
        assert await typed(pilot, "c") == ("a", "bc")


async def test_a_key_that_nothing_ends_holds_the_next_ones_up_for_some_time_alone(monkeypatch) -> None:
    """Each of them once, in their order."""
    monkeypatch.setattr(keys_in_order, "PATIENCE_S", SLOW_S / 6)
    async with SlowApp().run_test() as pilot:
        send(pilot, "enter")
        await pilot.pause(SLOW_S / 3)
        for key in "abcdef":
            send(pilot, key)
            await pilot.pause(SLOW_S / 10)
        first, second = await typed(pilot, "f")
        assert first + second == "abcdef"
