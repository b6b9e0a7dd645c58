"""Screens that show all of what was read as a table: schedules, jobs, generations, …; with filter, sort and, if they act on
several, marks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from luasprocs_tui import messages
from luasprocs_tui.screens.data import DataScreen
from luasprocs_tui.screens.sorting import Sorted
from luasprocs_tui.values.filters import LINES_HINT, NO_MATCH, line_matcher, problem_of
from luasprocs_tui.values.freshness import READING
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.sorting import sort_key
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.line import TypedLine
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from luasprocs_tui.values.columns import Line

T = TypeVar("T")


class TableScreen(Sorted, DataScreen[Sequence[T]], Generic[T]):
    """Subclasses say what the `line` of a row is, and what is said below (`about`)."""

    NONE: ClassVar[str] = "none"
    """Why there are no rows, and what to do."""
    OPENS: ClassVar[bool] = True
    """Whether a row can be opened."""
    WRAPS: ClassVar[bool] = False
    """Whether what is said below takes several lines."""
    GROWS: ClassVar[bool] = False
    """Whether it takes as many as it needs."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", id="live.back")]

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, T] = {}
        self._lines: list[Line] = []
        self._shown: list[str] = []
        self._marked: frozenset[str] = frozenset()

    def line(self, row: T) -> Line:
        raise NotImplementedError

    def about(self, row: T) -> str:
        raise NotImplementedError

    def content(self) -> ComposeResult:
        yield Table(self.COLUMNS, opens=self.OPENS, id="rows")
        with Horizontal(id="below"):
            yield TypedLine(id="filter")
            yield Static(id="detail")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Table))

    @property
    def selected(self) -> T | None:
        return self._rows.get(self.query_one(Table).selected or "")

    @property
    def meant(self) -> tuple[T, ...]:
        """Those that are marked and can be seen, else the one under the cursor."""
        marked = [key for key in self._shown if key in self._marked]
        found = (self._rows.get(key) for key in marked or [self.query_one(Table).selected or ""])
        return tuple(one for one in found if one is not None)

    def show(self, found: Sequence[T]) -> None:
        """The rows; the cursor stays on its own."""
        self._lines = [self.line(row) for row in found]
        self._rows = {line.key: row for line, row in zip(self._lines, found, strict=True)}
        self._marked &= self._rows.keys()
        self.show_sorted()

    def show_again(self) -> None:
        """The same rows as they are said now."""
        self.show([*self._rows.values()])
        self.say()

    def show_sorted(self) -> None:
        """Those that match the filter; columns are as wide as all need."""
        table, matches = self.query_one(Table), line_matcher(self.query_one(TypedLine).value)
        lines = [line for line in self._lines if matches(line)]
        column, descending = self.sort
        if column is not None:
            lines.sort(key=lambda line: sort_key(line.cells[column]), reverse=descending)
        self._shown = [line.key for line in lines]
        table.measure(self._lines)
        table.mark_sorted(column, descending=descending)
        table.mark(self._marked)
        table.show_lines(lines)

    @on(messages.CursorMoved)
    def _moved(self) -> None:
        self.say()

    @on(Input.Changed)
    def _typed(self) -> None:
        self.show_sorted()
        self.say()

    @on(Input.Submitted)
    def _typed_all(self, event: Input.Submitted) -> None:
        if not event.value:
            self.query_one(TypedLine).close()
        self.set_focus(self.query_one(Table))

    def say(self) -> None:
        super().say()
        if self.is_mounted:
            none = NO_MATCH if self._rows else self.NONE
            self.query_one(Table).none = (
                none if self._freshness.read_at_s is not None else self._freshness.error or READING
            )
            self.query_one(Table).stale = bool(self._rows) and self._freshness.stale(time.monotonic())
            row, problem = self.selected, problem_of(self.query_one(TypedLine).value)
            said = problem or (self.about(row) if row is not None else "")
            text = Text(clean(said, 1000), no_wrap=not self.WRAPS, overflow="ellipsis")
            draw(self, "#detail", text, sized=self.GROWS)

    def fresh(self) -> str:
        if not self._rows:
            return "none"
        marked = f", {len(self._marked)} marked (esc)" if self._marked else ""
        of = f"{len(self._shown)} of " if len(self._shown) < len(self._rows) else ""
        return f"{of}{len(self._rows)}{marked}"

    def action_filter(self, text: str | None = None) -> None:
        """Opens the filter, or filters by a text."""
        self.query_one(TypedLine).open(LINES_HINT, text)
        if text is not None:
            self.set_focus(self.query_one(Table))

    def action_mark(self) -> None:
        """Marks the row under the cursor, or no more."""
        table = self.query_one(Table)
        if table.selected in self._rows:
            self._mark(self._marked ^ {table.selected})
            table.action_move(1)

    def action_mark_all(self) -> None:
        """Marks all that are shown; or none, if they are marked."""
        self._mark(
            self._marked - {*self._shown} if self._marked.issuperset(self._shown) else self._marked | {*self._shown}
        )

    def _mark(self, keys: frozenset[str]) -> None:
        self._marked = keys
        self.query_one(Table).mark(keys)
        self.say()

    def action_back(self) -> None:
        """Ends the filter, else takes the marks away, else leaves."""
        line = self.query_one(TypedLine)
        if line.display:
            line.close(empty=True)
            self.set_focus(self.query_one(Table))
        elif self._marked:
            self._mark(frozenset())
        else:
            super().action_back()
