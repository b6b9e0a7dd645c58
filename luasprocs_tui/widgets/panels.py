"""The panels beside the list: who the selected sproc is, how it goes, its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.scroll import TextScroll
from luasprocs_tui.widgets.source import SourceView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.rows import Rates, Row

BESIDE_TEXT = 4
"""Cells that the border and the blanks beside a text take."""
NO_RUNS = "how often the selected sproc runs and fails, how long it takes, and its last runs"
NO_SOURCE = "its source, with the line of its last error marked"


class Panel(TextScroll):
    """It can have all the room."""

    ALLOW_MAXIMIZE = True


class Panels(Vertical):
    """Three panels with titles, which can be scrolled. One sproc is shown, or that none is selected.

    They come after the first paint, of which they would take 12 ms: nothing can be said in them before.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: tuple[Row | None, About | None, Rates, float, tuple[str, str]] | None = None
        self._there = False

    def on_mount(self) -> None:
        self.call_after_refresh(self._furnish)

    async def _furnish(self) -> None:
        about = Panel(Static(id="about"), id="about-panel", classes="panel")
        runs = Panel(Static(id="runs"), id="runs-panel", classes="panel")
        source = SourceView(id="panel-source")
        runs.border_title, source.border_title = "Runs", "Source"
        source.add_class("panel")
        await self.mount(about, runs, source)
        self._there = True
        if self._said is not None:
            self.show(*self._said)

    def show(self, row: Row | None, about: About | None, rates: Rates, now_ms: float, none: tuple[str, str]) -> None:
        """A sproc, what was read of it, and how it went lately. `none`: title and text in place of one."""
        self._said = row, about, rates, now_ms, none
        if not self._there:
            return
        panel = self.query_one("#about-panel")
        title = Content(clean(row.name if row else none[0], 400))  # no markup
        if title != panel.border_title:  # to set it draws the panel
            panel.border_title = title
        if row is None:
            draw(self, "#about", Text(none[1], "dim"))
            draw(self, "#runs", Text(NO_RUNS, "dim"))
            self.show_source(())
            return
        from luasprocs_tui.values.about import header_of, runs_of  # noqa: PLC0415  # they know Redis: after the first paint

        draw(self, "#about", header_of(row, about, now_ms, self._width("#about-panel")))
        draw(self, "#runs", runs_of(row, about, rates, self._width("#runs-panel")))

    def _width(self, selector: str) -> int:
        """Cells for the text of a panel, which may have all the room."""
        whole = self.screen.maximized is self.query_one(selector)
        return max(20, (self.screen.size.width if whole else self.size.width or self.screen.size.width) - BESIDE_TEXT)

    def hide_source(self) -> None:
        """As long as it is that of another sproc."""
        if self._there:
            self.query_one(SourceView).hide()

    def show_source(self, lines: Sequence[Text], marked: int = 0) -> None:
        """Its lines, one of them (from 1) marked."""
        if not self._there:
            return
        view = self.query_one(SourceView)
        view.show(lines, NO_SOURCE)
        if view.marked != marked:
            view.mark(marked)
