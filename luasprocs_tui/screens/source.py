"""One sproc's source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from luasprocs_tui import actions
from luasprocs_tui.screens.low_repaint import LowRepaintScreen
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.source import SourceView
from luasprocs_tui.widgets.status import COMMIT_SHOWN, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class SourceScreen(LowRepaintScreen):
    """Opens at once, and shows the source when it has come."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="source.back"),
        *actions.bindings("source"),
    ]

    class Loaded(Message):
        """The source has come, as safe lines."""

        def __init__(self, lines: Sequence[Text], commit: str) -> None:
            super().__init__()
            self.lines = lines
            self.commit = commit

    class Failed(Message):
        """There is none, and why."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, name: str, line: int = 0) -> None:
        super().__init__()
        self.sprocs = (name,)
        self._line = line
        self._said = "loading …"
        self.left = threading.Event()
        """Set when nobody looks any more; the worker that reads for this screen ends then."""
        self.asked = threading.Event()

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        yield Static(id="title")
        yield SourceView(id="source")
        yield KeyLine()

    def on_mount(self) -> None:
        """Until the source is there."""
        self.query_one(SourceView).focus()
        self.watch(self.app, "state", self._draw)

    def on_unmount(self) -> None:
        """Lets the worker go."""
        self.left.set()
        self.asked.set()

    def again(self) -> None:
        """Reads now."""
        self.asked.set()

    @on(Loaded)
    def _loaded(self, event: Loaded) -> None:
        lines = len(event.lines)
        self._say(f"{lines} line{'' if lines == 1 else 's'}  {event.commit[:COMMIT_SHOWN]}")
        view = self.query_one(SourceView)
        view.show(event.lines)
        if 0 < self._line <= lines:
            view.mark(self._line)
            self._line = 0  # what is read later leaves the place

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self._say(event.reason)

    def _say(self, said: str) -> None:
        self._said = said
        self._draw()

    def _draw(self) -> None:
        snapshot = self.app.state.snapshot  # type: ignore[attr-defined]  # the app that has this screen
        row = next((row for row in snapshot.rows if row.name == self.sprocs[0]), None) if snapshot else None
        state = f"{row.shown_state}  {row.trigger}" if row else ""
        title = Text.assemble((clean(self.sprocs[0], 400), "bold"), "  ", clean(f"{self._said}  {state}", 400))
        title.no_wrap, title.overflow = True, "ellipsis"
        draw(self, "#title", title)
