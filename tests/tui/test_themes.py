from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.color import Color
from textual.color import Color as TextualColor
from textual.theme import BUILTIN_THEMES

from luasprocs.state.executions import Execution
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.themes import LIGHT, ON_DARK, ON_LIGHT
from luasprocs_tui.values.source_lines import lines_of
from tests.tui.pilot import shows, unconnected

if TYPE_CHECKING:
    from collections.abc import Sequence

READABLE = 4.5
"""The least contrast of a text, as WCAG 2 has it."""
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = range(1, 7)


def luminance(red: float, green: float, blue: float) -> float:
    each = ((part / 255) for part in (red, green, blue))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in each]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(text: Sequence[int], ground: Sequence[int]) -> float:
    dark, light = sorted((luminance(*text), luminance(*ground)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("number", [RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN])
def test_each_colour_can_be_read_on_its_background(number: int) -> None:
    for colours, theme in ((ON_LIGHT, LIGHT), (ON_DARK, BUILTIN_THEMES["textual-dark"])):
        surface = TextualColor.parse(theme.to_color_system().generate()["surface"]).rgb
        assert contrast(colours.ansi_colors[number], surface) >= READABLE, theme.name


@pytest.mark.parametrize("name", ["text-warning", "text-accent", "footer-key-foreground"])
def test_what_is_amber_can_be_read_on_light(name: str) -> None:
    text = TextualColor.parse(LIGHT.variables[name]).rgb
    assert contrast(text, TextualColor.parse(LIGHT.panel or "").rgb) >= READABLE


def test_a_source_has_not_the_red_of_errors() -> None:
    lines = lines_of(b"local number = tonumber(KEYS[1])\nerror('order ' .. number)\n")
    assert not any("red" in str(span.style) for line in lines for span in line.spans)
    assert ON_DARK.ansi_colors[MAGENTA] != ON_DARK.ansi_colors[RED]


@pytest.mark.parametrize("theme", ["textual-dark", "luasprocs-light", "luasprocs-contrast"])
async def test_without_colours_an_error_can_be_read(monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = unconnected()
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(RecordScreen(Execution("1-1", 1, "a.lua", "call", status="error", error="boom"), ()))
        await shows(pilot, "boom")
        parts = [part for strip in app.screen._compositor.render_strips() for part in strip if "boom" in part.text]
        style = parts[0].style
        assert style is not None
        text, ground = (tuple((color or Color.default()).get_truecolor()) for color in (style.color, style.bgcolor))
        assert contrast(text, ground) >= READABLE


@pytest.mark.parametrize("theme", ["textual-dark", "luasprocs-light", "luasprocs-contrast"])
async def test_a_filter_stands_out_from_what_is_said_beside_it(theme: str) -> None:
    app = unconnected()
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"orders", "enter")
        filtered, said = (app.screen.query_one(one).background_colors[1] for one in ("#filter", "#detail"))
        assert filtered != said
