"""Screens that are read again and again: a table (schedules, jobs, generations), or a text (stats, what git wants)."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from luasprocs_tui.screens.low_repaint import LowRepaintScreen
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.status import STALE_AFTER_S, Status
from luasprocs_tui.widgets.table import Column, Line, Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from luasprocs_tui.backend.snapshot_reader import SnapshotReader

T = TypeVar("T")


class PolledScreen(LowRepaintScreen, Generic[T]):
    """Subclasses say how to `read`, and what to `show` of it. The app reads in a worker thread, as long as it is there."""

    EVERY_S: ClassVar[float] = 1.0
    NAME: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back", id="live.back")]

    class Came(Message):
        """It was read."""

        def __init__(self, found: object) -> None:
            super().__init__()
            self.found = found

    class Lost(Message):
        """It could not be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self) -> None:
        super().__init__()
        self.left = threading.Event()
        """Set when nobody looks any more."""
        self.asked = threading.Event()
        self._read_at_s: float | None = None
        self._error = ""

    def read(self, feed: SnapshotReader) -> T:
        """In a worker thread: all there is."""
        raise NotImplementedError

    def show(self, found: T) -> None:
        """Draws what was read."""
        raise NotImplementedError

    def content(self) -> ComposeResult:
        """Between title and footer."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        yield Static(id="title")
        yield from self.content()
        yield KeyLine()

    def on_mount(self) -> None:
        """Starts to say how old it is."""
        self.set_interval(1, self.say)
        self.say()

    def on_unmount(self) -> None:
        """Lets the worker go."""
        self.left.set()
        self.asked.set()

    def again(self) -> None:
        """Reads now."""
        self.asked.set()

    @on(Came)
    def _came(self, event: Came) -> None:
        self._read_at_s, self._error = time.monotonic(), ""
        self.show(event.found)  # type: ignore[arg-type]  # what `read` gave
        self.say()

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        self._error = event.reason
        self.say()

    def say(self) -> None:
        """Draws the title anew."""
        if not self.is_mounted:
            return
        title = Text.assemble((clean(self.NAME, 200), "bold"), "  ", clean(self._state(), 400))
        title.no_wrap, title.overflow = True, "ellipsis"
        draw(self, "#title", title)

    def _state(self) -> str:
        if self._read_at_s is None:
            return self._error or "loading …"
        age_s = time.monotonic() - self._read_at_s
        if self._error or age_s > STALE_AFTER_S:
            return f"data {age(age_s)} old: {self._error or 'no answer'}"
        return self.fresh()

    def fresh(self) -> str:
        """What is said behind the name as long as it is fresh."""
        return ""


class TableScreen(PolledScreen[Sequence[T]], Generic[T]):
    """A table. Subclasses say what the `line` of a row is, and what is said below (`about`)."""

    COLUMNS: ClassVar[Sequence[Column]] = ()
    NONE: ClassVar[str] = "none"

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, T] = {}

    def line(self, row: T) -> Line:
        """A row as the table takes it."""
        raise NotImplementedError

    def about(self, row: T) -> str:
        """What the table has no place for."""
        raise NotImplementedError

    def content(self) -> ComposeResult:
        """The table, and a line about the row under the cursor."""
        yield Table(self.COLUMNS, id="rows")
        yield Static(id="detail")

    def on_mount(self) -> None:
        """Keys go to the table."""
        self.set_focus(self.query_one(Table))

    @property
    def selected(self) -> T | None:
        """The row under the cursor."""
        return self._rows.get(self.query_one(Table).selected or "")

    def show(self, found: Sequence[T]) -> None:
        """The rows; the cursor stays on its own."""
        lines = [self.line(row) for row in found]
        self._rows = {line.key: row for line, row in zip(lines, found, strict=True)}
        table = self.query_one(Table)
        table.measure(lines)
        table.show_lines(lines)

    @on(Table.Moved)
    def _moved(self) -> None:
        self.say()

    def say(self) -> None:
        """The title, and what is said about a row."""
        super().say()
        if self.is_mounted:
            row = self.selected
            said = clean(self.about(row), 400) if row is not None else ""
            draw(self, "#detail", Text(said, no_wrap=True, overflow="ellipsis"))

    def fresh(self) -> str:
        """How many rows."""
        return str(len(self._rows)) if self._rows else self.NONE


class TextScreen(PolledScreen[Text]):
    """A text, which `read` makes, safe, in the thread."""

    def content(self) -> ComposeResult:
        """It scrolls."""
        with VerticalScroll(id="text"):
            yield Static(id="body")

    def on_mount(self) -> None:
        """Keys scroll it."""
        self.query_one("#text").focus()

    def show(self, found: Text) -> None:
        """Draws it; the place stays."""
        draw(self, "#body", found, sized=True)
