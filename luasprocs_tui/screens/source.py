"""One sproc's source."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Static

from luasprocs.server.readable_errors import readable_error
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import SprocActions
from luasprocs_tui.screens.polled import PolledScreen
from luasprocs_tui.screens.reading import read_source
from luasprocs_tui.values.error_lines import line_of_error, without_name
from luasprocs_tui.values.freshness import READING
from luasprocs_tui.values.numbers import ID_SHOWN
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.source import SourceView
from luasprocs_tui.widgets.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.message import Message

    from luasprocs_tui.backend.protocol import Backend
    from luasprocs_tui.values.rows import Row
    from luasprocs_tui.values.snapshots import State


class SourceScreen(SprocActions, PolledScreen):
    """Opens at once, and shows the source when it has come."""

    PLACE = "source"
    GROUP = "source"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="source.back"),
        *actions.bindings("source"),
    ]

    def __init__(self, name: str, line: int = 0) -> None:
        super().__init__()
        self._sproc = name
        self._line = line
        self._said, self._problem = READING, ""
        self._read = False

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._sproc,)

    @property
    def heading(self) -> str:
        return self._sproc

    @property
    def every_s(self) -> float:
        """As often as the registry."""
        return self.shell.refresh_s

    def reader(self, backend: Backend) -> Callable[[], Message]:
        return partial(read_source, backend, self._sproc, dark=self.app.current_theme.dark)

    def compose(self) -> ComposeResult:
        yield Status()
        yield Static(id="title")
        yield SourceView(id="source")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(SourceView).focus()

    def show_state(self, state: State) -> None:
        super().show_state(state)
        self._draw()

    @on(messages.SourceRead)
    def _source_read(self, event: messages.SourceRead) -> None:
        lines, self._problem = len(event.lines), ""
        self._say(f"{lines} line{'' if lines == 1 else 's'}  {event.commit[:ID_SHOWN]}")
        view = self.query_one(SourceView)
        view.show(event.lines)
        line = self._line or (0 if self._read else line_of_error(self._sproc, self._error()))
        if 0 < line <= lines:
            view.mark(line)
        self._line, self._read = 0, True  # what is read later leaves the place

    @on(messages.ReadFailed)
    def _read_failed(self, event: messages.ReadFailed) -> None:
        self._problem = event.reason
        self._say("" if self._said == READING else self._said)

    def copied(self) -> str:
        return self.query_one(SourceView).text

    def exported(self) -> tuple[str, str]:
        return f"{self.PLACE}.lua", self.copied() + "\n"

    def _say(self, said: str) -> None:
        self._said = said
        self._draw()

    def _row(self) -> Row | None:
        snapshot = self.shell.state.snapshot
        return next((row for row in snapshot.rows if row.name == self._sproc), None) if snapshot else None

    def _error(self) -> str:
        """Why it fails, or its jobs are dead; "" if neither is so."""
        row = self._row()
        return "" if row is None else row.counters.last_error if row.counters.failing else row.dead_error

    def _draw(self) -> None:
        row, error = self._row(), without_name(self._sproc, readable_error(self._error()))
        parts = (self._problem, *((row.shown_state, error, row.trigger) if row else ()), self._said)
        self.label_keys(*(row.state,) if row else ())
        title = Text.assemble(
            self.way, (clean(self._sproc, 400), "bold"), "  ", clean("  ".join(filter(None, parts)), 400)
        )
        title.no_wrap, title.overflow = True, "ellipsis"
        draw(self, "#title", title)
