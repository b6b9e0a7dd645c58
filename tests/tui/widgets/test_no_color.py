from __future__ import annotations

import pytest
from rich.color import Color

from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.widgets.form import Form
from luasprocs_tui.widgets.ribbon import Ribbon
from tests.tui.pilot import filled, screen_of, unconnected, until


def brightness(color: Color | None) -> float:
    assert color is not None
    red, green, blue = color.get_truecolor()
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("theme", ["textual-dark", "luasprocs-light", "luasprocs-contrast"])
async def test_without_colours_what_fails_stands_out(monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = unconnected()
    app.theme = theme
    failing = Counters(runs=1, errors=1, failing=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await filled(pilot, [Row("fails.lua", counters=failing), Row("fine.lua"), Row("last.lua")])
        await pilot.press("G")
        strips = {"".join(part.text for part in strip): strip for strip in app.screen._compositor.render_strips()}
        fails, fine = (
            next(part.style for text, strip in strips.items() if name in text for part in strip if name in part.text)
            for name in ("fails.lua", "fine.lua")
        )
        assert fails is not None
        assert fine is not None
        assert (fails.bold, bool(fine.bold)) == (True, False)
        contrast = [abs(brightness(style.color) - brightness(style.bgcolor)) for style in (fails, fine)]
        assert contrast[0] >= contrast[1]


@pytest.mark.parametrize("theme", ["textual-dark", "luasprocs-light", "luasprocs-contrast"])
async def test_without_colours_what_is_wrong_in_a_form_can_be_read(monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = unconnected()
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        form = Form("Header", {}, ["event"], {"event": lambda _: "no such event"}, lambda *_: None)
        await app.push_screen(form)
        await pilot.press("x", "ctrl+s")
        await until(pilot, lambda: "no such event" in screen_of(pilot), "what is wrong")
        strips = app.screen._compositor.render_strips()
        style = next(part.style for strip in strips for part in strip if "no such event" in part.text)
        assert style is not None
        assert abs(brightness(style.color) - brightness(style.bgcolor)) > 100


@pytest.mark.parametrize("theme", ["textual-dark", "luasprocs-light", "luasprocs-contrast"])
async def test_without_colours_why_a_ribbon_cannot_be_read_can_be_read(
    monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = unconnected()
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("W")
        app.screen.query_one(Ribbon).fail("no such ribbon")
        await until(pilot, lambda: "no such ribbon" in screen_of(pilot), "why")
        strips = app.screen._compositor.render_strips()
        style = next(part.style for strip in strips for part in strip if "no such ribbon" in part.text)
        assert style is not None
        assert abs(brightness(style.color) - brightness(style.bgcolor)) > 100
