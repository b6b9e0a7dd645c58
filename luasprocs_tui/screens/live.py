"""A screen of one table that is read again and again: schedules, jobs, generations."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from luasprocs_tui.safe import clean
from luasprocs_tui.widgets.status import STALE_AFTER_S, Status, age
from luasprocs_tui.widgets.table import Column, Line, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from luasprocs_tui.feed import Feed

T = TypeVar("T")


class LiveScreen(Screen[None], Generic[T]):
    """Subclasses say how to `read`, what a `line` is, and what is said below (`about`)."""

    EVERY_S: ClassVar[float] = 1.0
    COLUMNS: ClassVar[Sequence[Column]] = ()
    NAME: ClassVar[str] = ""
    NONE: ClassVar[str] = "none"
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
        self._rows: dict[str, T] = {}
        self._read_at_s: float | None = None
        self._error = ""

    def read(self, feed: Feed) -> Sequence[T]:
        """In a worker thread: all rows."""
        raise NotImplementedError

    def line(self, row: T) -> Line:
        """A row as the table takes it."""
        raise NotImplementedError

    def about(self, row: T) -> str:
        """What the table has no place for."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        yield Static(id="title")
        yield Table(self.COLUMNS, id="rows")
        yield Static(id="detail")
        yield Footer()

    def on_mount(self) -> None:
        """Starts to say how old it is."""
        self.query_one(Table).focus()
        self.set_interval(1, self._say)
        self._say()

    def on_unmount(self) -> None:
        """Lets the worker go."""
        self.left.set()
        self.asked.set()

    @property
    def selected(self) -> T | None:
        """The row under the cursor."""
        return self._rows.get(self.query_one(Table).selected or "")

    def again(self) -> None:
        """Reads now."""
        self.asked.set()

    @on(Came)
    def _came(self, event: Came) -> None:
        rows: Sequence[T] = event.found  # type: ignore[assignment]  # what `read` gave
        lines = [self.line(row) for row in rows]
        self._rows = {line.key: row for line, row in zip(lines, rows, strict=True)}
        self._read_at_s, self._error = time.monotonic(), ""
        table = self.query_one(Table)
        table.measure(lines)
        table.show(lines)
        self._say()

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        self._error = event.reason
        self._say()

    @on(Table.Moved)
    def _moved(self) -> None:
        self._say()

    def _say(self) -> None:
        if not self.is_mounted:
            return
        title = Text.assemble((self.NAME, "bold"), "  ", clean(self._state(), 400))
        title.no_wrap, title.overflow = True, "ellipsis"
        self._draw("#title", title)
        row = self.selected
        self._draw(
            "#detail", Text(clean(self.about(row), 400) if row is not None else "", no_wrap=True, overflow="ellipsis")
        )

    def _draw(self, selector: str, text: Text) -> None:
        widget = self.query_one(selector, Static)
        if widget.content != text:
            widget.update(text)

    def _state(self) -> str:
        if self._read_at_s is None:
            return self._error or "loading …"
        age_s = time.monotonic() - self._read_at_s
        if self._error or age_s > STALE_AFTER_S:
            return f"data {age(age_s)} old: {self._error or 'no answer'}"
        return f"{len(self._rows)}" if self._rows else self.NONE
