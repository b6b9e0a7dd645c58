"""The list of what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from luasprocs_tui import actions
from luasprocs_tui.filters import HINT, matcher
from luasprocs_tui.safe import clean
from luasprocs_tui.widgets.status import Status
from luasprocs_tui.widgets.table import Column, Line, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from luasprocs_tui.feed import Row, State

COLUMNS = (
    Column("NAME", 12, 60),
    Column("TRIGGER", 16, 44),
    Column("STATE", 8, 8),
    Column("CALLS", 6, 6, right=True),
    Column("RUNS", 5, 6, right=True),
    Column("ERRORS", 7, 7, right=True),
    Column("DESCRIPTION", 14, 400, grow=True),
)
SORTS: tuple[Callable[[Row], Any], ...] = (
    lambda row: row.name,
    lambda row: row.trigger,
    lambda row: row.state,
    lambda row: row.counters.calls or 0,
    lambda row: row.counters.runs or 0,
    lambda row: row.counters.errors or 0,
    lambda row: row.description,
)
"""What each column is sorted by."""
TONES = {"drift": "bad", "disabled": "off", "paused": "off", "edited": "warn"}
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def short_number(number: int | None) -> str:
    """At most six cells: `950`, `12k`, `3.4M`; a dot where nothing was counted yet."""
    if number is None:
        return "·"
    if number < 10_000:
        return str(number)
    size, unit = next((size, unit) for size, unit in _UNITS if number >= size)
    whole = number / size
    if whole >= 10_000:
        return f">9999{unit}"
    return f"{int(whole * 10) / 10}{unit}" if whole < 100 else f"{int(whole)}{unit}"


def line_of(row: Row) -> Line:
    """A row as the table takes it."""
    counted = row.counters
    numbers = (short_number(number) for number in (counted.calls, counted.runs, counted.errors))
    cells = (row.name, row.trigger, row.state, *numbers, row.description)
    return Line(row.name, cells, TONES.get(row.state, "ok"))


class SprocsScreen(Screen[None]):
    """A header, the table, a line about the selected sproc, and a filter that comes with `/`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.bindings("sprocs"),
        Binding("escape", "clear", "Clear filter", id="sprocs.clear"),
    ]

    class Opened(Message):
        """A sproc was opened."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Row, ...] = ()
        self._lines: list[Line] = []
        self._sorted: int | None = None
        self._reversed = False

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        yield Table(COLUMNS, id="sprocs")
        yield Static(id="detail")
        yield Input(placeholder=HINT, id="filter", select_on_focus=False)
        yield Footer()

    def on_mount(self) -> None:
        """Starts to follow the app's state."""
        self.query_one("#filter").display = False
        self.query_one(Table).focus()
        self.watch(self.app, "state", self._follow)

    @property
    def sproc(self) -> str | None:
        """The one under the cursor."""
        return self.query_one(Table).selected if self.query(Table) else None

    @property
    def visible_names(self) -> tuple[str, ...]:
        """Sprocs on the screen now; none as long as the screen is being made."""
        return self.query_one(Table).visible_keys if self.query(Table) else ()

    def _follow(self, state: State) -> None:
        rows = state.snapshot.rows if state.snapshot else ()
        if rows is not self._rows:
            self._rows, self._lines = rows, [line_of(row) for row in rows]
            self.query_one(Table).measure(self._lines)
            self._show()

    def _show(self) -> None:
        matches = matcher(self.query_one(Input).value)
        pairs = [pair for pair in zip(self._rows, self._lines, strict=True) if matches(pair[0])]
        if self._sorted is not None:
            pairs.sort(key=lambda pair: SORTS[self._sorted or 0](pair[0]), reverse=self._reversed)
        shown = [line for _, line in pairs]
        self.query_one(Table).mark_sorted(self._sorted, descending=self._reversed)
        self.query_one(Table).show(shown)
        self._describe(self.query_one(Table).selected)

    def _describe(self, name: str | None) -> None:
        row = next((row for row in self._rows if row.name == name), None)
        filtered = bool(self._rows and self.query_one(Input).value.strip())
        said = "nothing matches the filter" if filtered else ""
        if row:
            said = "  ".join(clean(part, 400) for part in (row.name, row.trigger, row.description) if part)
        self.query_one("#detail", Static).update(Text(said, no_wrap=True, overflow="ellipsis"))

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        self._describe(event.key)

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        self.post_message(self.Opened(event.key))

    @on(Input.Changed)
    def _typed(self) -> None:
        selected = self.query_one(Table).selected
        self._show()
        if self.query_one(Table).selected != selected:
            self.query_one(Table).action_end(-1)

    @on(Input.Submitted)
    def _typed_all(self) -> None:
        self._show_filter(open_=bool(self.query_one(Input).value))
        self.query_one(Table).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  # Textual's
        """Escape is offered while there is a filter to clear."""
        return self.query_one(Input).display if action == "clear" and self.is_mounted else True

    def action_filter(self) -> None:
        """Opens the filter."""
        self._show_filter(open_=True)
        self.query_one(Input).focus()

    def action_sort(self) -> None:
        """By the next column; behind the last, as the registry has them."""
        self._sorted = 0 if self._sorted is None else self._sorted + 1
        if self._sorted == len(SORTS):
            self._sorted = None
        self._reversed = self._sorted is not None and COLUMNS[self._sorted].right
        self._show()

    def action_reverse(self) -> None:
        """The other way round."""
        self._reversed = self._sorted is not None and not self._reversed
        self._show()

    def action_clear(self) -> None:
        """Ends the filter."""
        self.query_one(Input).value = ""
        self._show_filter(open_=False)
        self.query_one(Table).focus()

    def _show_filter(self, *, open_: bool) -> None:
        self.query_one(Input).display = open_
        self.refresh_bindings()
