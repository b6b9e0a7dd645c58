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

    from textual.app import ComposeResult

    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.rows import Rates, Row

BESIDE_TEXT = 4
"""Cells that the border and the blanks beside a text take."""


class Panel(TextScroll):
    """It can have all the room."""

    ALLOW_MAXIMIZE = True


class Panels(Vertical):
    """Three panels with titles, which can be scrolled. One sproc is shown, or that none is selected."""

    def compose(self) -> ComposeResult:
        with Panel(id="about-panel", classes="panel"):
            yield Static(id="about")
        with Panel(id="runs-panel", classes="panel"):
            yield Static(id="runs")
        yield SourceView(id="panel-source")

    def on_mount(self) -> None:
        """Titles that stay."""
        self.query_one("#runs-panel").border_title = "Runs"
        source = self.query_one(SourceView)
        source.border_title = "Source"
        source.add_class("panel")

    def show(self, row: Row | None, about: About | None, rates: Rates, now_ms: float) -> None:
        """A sproc, what was read of it, and how it went lately."""
        panel = self.query_one("#about-panel")
        title = Content(clean(row.name, 400) if row else "No sproc is selected")  # no markup
        if title != panel.border_title:  # to set it draws the panel
            panel.border_title = title
        if row is None:
            draw(self, "#about", Text("j and k move, / filters", "dim"))
            draw(self, "#runs", Text())
            self.show_source(())
            return
        from luasprocs_tui.values.about import header_of, runs_of  # noqa: PLC0415  # they know Redis: after the first paint

        width = max(20, (self.size.width or self.screen.size.width) - BESIDE_TEXT)
        draw(self, "#about", header_of(row, about, now_ms, width))
        draw(self, "#runs", runs_of(row, about, rates, width))

    def hide_source(self) -> None:
        """As long as it is that of another sproc."""
        self.query_one(SourceView).hide()

    def show_source(self, lines: Sequence[Text], marked: int = 0) -> None:
        """Its lines, one of them (from 1) marked."""
        view = self.query_one(SourceView)
        view.show(lines)
        if view.marked != marked:
            view.mark(marked)
