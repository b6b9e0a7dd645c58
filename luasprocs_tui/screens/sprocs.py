"""The list of what is live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import SprocActions
from luasprocs_tui.screens.beside import WithPanels
from luasprocs_tui.screens.sorting import Sorted
from luasprocs_tui.values.columns import Line
from luasprocs_tui.values.filters import HINT, NO_MATCH, matcher, problem_of
from luasprocs_tui.values.lines import BENEATH
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.sheets import as_json, labelled
from luasprocs_tui.values.sproc_line import COLUMNS, line_beneath, line_of, line_of_folded, sort_keys
from luasprocs_tui.values.tree import tree
from luasprocs_tui.values.trouble import FOLDED, SIGNS, TONES, Trouble, in_order, worst_in
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.line import TypedLine
from luasprocs_tui.widgets.panels import Panels
from luasprocs_tui.widgets.status import Status
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from luasprocs_tui.values.rows import Row
    from luasprocs_tui.values.snapshots import Snapshot, State

NONE = "no sproc is live here: luasprocs sync makes those of a repository live"


class SprocsScreen(SprocActions, Sorted, WithPanels):
    """A header, the table, a line about the selected sproc, and a filter that comes with `/`."""

    PLACE = "sprocs"
    COLUMNS = COLUMNS
    UNSORTED = "what is in trouble first"
    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.bindings("sprocs"),
        Binding("escape", "clear", "Clear", id="sprocs.clear"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self._rows: dict[str, Row] = {}
        self._shown: Sequence[str] = ()
        self._labels: dict[str, str] = {}
        self._tree = False
        self._folded: set[str] = set()
        self._hidden: dict[str, Trouble] = {}
        self._quiet = 0
        self._all = False
        self._marked: frozenset[str] = frozenset()
        self._back_to: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        yield Status()
        with Horizontal(id="main"):
            yield Table(COLUMNS, id="sprocs")
            yield Panels()
        with Horizontal(id="below"):  # one row, so that the table keeps its size
            yield TypedLine(id="filter")
            yield Static(id="detail")
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Table))
        self.set_interval(1, self.query_one(Table).refresh_changed)  # ages and countdowns go on

    def on_resize(self) -> None:
        """More room, or less: whether all fit."""
        super().on_resize()
        self.call_after_refresh(self._show)

    @property
    def row(self) -> Row | None:
        return self._rows.get(self._selected or "")

    @property
    def no_row(self) -> tuple[str, str]:
        """Of what is selected, if it is no sproc."""
        if (selected := self._selected) is None:
            return "No sproc is selected", self._none if self._snapshot else "nothing was read so far"
        if selected == FOLDED:
            return f"{self._quiet} quiet sprocs", "none of them ran within the last minute: enter opens them"
        return selected, "a folder: enter opens or closes it, space marks all in it"

    @property
    def _none(self) -> str:
        """Why no row is shown."""
        return NO_MATCH if self._rows else NONE if self._snapshot else self.shell.state.error

    @property
    def _selected(self) -> str | None:
        """The key under the cursor; None as long as the screen is being made. Not by `query`, which walks all widgets."""
        table = self.query_one_optional(Table)
        return table.selected if table is not None else None

    @property
    def sprocs(self) -> tuple[str, ...]:
        """Those that are marked and can be seen, else the one under the cursor."""
        if marked := self._marked.intersection(self._shown):
            return tuple(sorted(marked))
        selected = self._selected
        return (selected,) if selected in self._rows else ()

    @property
    def subject(self) -> str:
        """What is opened from the list is of all."""
        return ""

    @property
    def visible_names(self) -> tuple[str, ...]:
        """Sprocs on the screen now; none as long as the screen is being made."""
        table = self.query_one_optional(Table)
        return tuple(key for key in table.visible_keys if key in self._rows) if table is not None else ()

    def exported(self) -> tuple[str, str]:
        """All that the filter shows, those that are folded away, too."""
        now_ms, labels = self.shell.state.now_ms(), [column.label for column in COLUMNS]
        lines = (line_of(self._rows[name], now_ms) for name in self._shown)
        return f"{self.PLACE}.json", as_json(labelled(labels, line.cells) for line in lines)

    def show_state(self, state: State) -> None:
        """The header, and the rows of a new snapshot."""
        super().show_state(state)
        self.query_one(Table).none = self._none
        self.query_one(Table).stale = state.freshness.stale(time.monotonic())
        if state.snapshot is not self._snapshot:
            self._snapshot = state.snapshot
            self._rows = {row.name: row for row in state.snapshot.rows} if state.snapshot else {}
            self._marked &= self._rows.keys()
            if state.snapshot:
                self.query_one(Table).measure((Line("", state.snapshot.longest),))
            self._show()
            self.shell.visible_names = self.visible_names
            self.keep_rates(state.snapshot.rows if state.snapshot else (), self.visible_names)
            self.show_beside()

    def _show(self) -> None:
        names, table = self._matching(), self.query_one(Table)
        self._quiet, keys = 0, names
        column, descending = self.sort
        if self._tree or column is not None:
            if column is not None:
                by = sort_keys(self.shell.state.now_ms())[column]
                names.sort(key=lambda name: by(self._rows[name]), reverse=descending)
        else:
            folded = not (self._all or self.query_one(TypedLine).value.strip())
            stay = {*self._marked, table.selected or ""}
            rows = (self._rows[name] for name in names)
            keys, self._quiet = in_order(
                rows, self.shell.state.now_ms(), max(1, table.size.height - 1), stay, folded=folded
            )
        if names != self._shown or bool(self._labels) != self._tree:
            self._shown, self._labels = names, tree(names, self._folded) if self._tree else {}
        table.mark_sorted(column, descending=descending)
        table.mark(self._marked)
        if self._tree:
            keys = [*self._labels]
            self._hidden = worst_in((self._rows[name] for name in names), self._folded, self.shell.state.now_ms())
        table.show(keys, lambda at: self._line(keys[at]))
        self._describe(table.selected)

    def _line(self, key: str) -> Line:
        if key == FOLDED:
            return line_of_folded(self._quiet)
        row, label = self._rows.get(key.removesuffix(BENEATH)), self._labels.get(key, "")
        if row is None:
            worst = self._hidden.get(key, Trouble.NONE)
            cells = (label, *[""] * (len(COLUMNS) - 1))
            return Line(key, cells, TONES.get(worst, "ok"), SIGNS.get(worst, " "))
        return (
            line_beneath(row, self.shell.state.now_ms())
            if key.endswith(BENEATH)
            else line_of(row, self.shell.state.now_ms(), label)
        )

    def _matching(self) -> list[str]:
        text = self.query_one(TypedLine).value
        if not text.strip():
            return [*self._rows]
        matches = matcher(text, self.shell.state.now_ms())
        return [name for name, row in self._rows.items() if matches(row)]

    def _describe(self, name: str | None) -> None:
        row = self._rows.get(name or "")
        self.label_keys(*(self._rows[one].state for one in self.sprocs))
        self.query_one(Table).none = self._none
        said = ""
        if row:
            said = "  ".join(clean(part, 400) for part in (row.name, row.trigger, row.description) if part)
        if self._marked:
            hidden = len(self._marked.difference(self._shown))
            said = f"{len(self._marked)} marked{f', {hidden} of them hidden' if hidden else ''}  {said}"
        if problem := problem_of(self.query_one(TypedLine).value):
            said = clean(problem, 400)
        draw(self, "#detail", Text(said, no_wrap=True, overflow="ellipsis"))

    @on(messages.CursorMoved)
    def _moved(self, event: messages.CursorMoved) -> None:
        self._describe(event.key)
        self.show_beside()

    @on(messages.RowOpened)
    def _opened(self, event: messages.RowOpened) -> None:
        if event.key == FOLDED:
            self.action_all()
        elif event.key not in self._rows:  # a folder
            self._folded ^= {event.key}
            self._shown = ()
            self._show()
        else:
            self.post_message(messages.OpenSource(event.key))

    @on(Input.Changed)
    def _typed(self) -> None:
        selected = self.query_one(Table).selected
        self._show()
        if self.query_one(Table).selected != selected:
            self.query_one(Table).action_end(-1)

    @on(Input.Submitted)
    def _typed_all(self, event: Input.Submitted) -> None:
        if not event.value:
            self.query_one(TypedLine).close()
        self.set_focus(self.query_one(Table))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is offered while there is something to clear."""
        if action != "clear" or not self.is_mounted:
            return super().check_action(action, parameters)
        card = self.query_one(Status).query_one("#card").display
        return card or self.query_one(TypedLine).display or bool(self._marked)

    def goes_back_to(self, finding: str) -> None:
        """Escape leads to a row of what is wrong, as long as this filter stands."""
        self._back_to = self.query_one(TypedLine).value, finding

    def action_filter(self, text: str | None = None) -> None:
        """Opens the filter, or filters by a text."""
        self.query_one(TypedLine).open(HINT, text)
        if text is not None:
            self.set_focus(self.query_one(Table))
        self.refresh_bindings()

    def action_mark(self) -> None:
        """Marks the sproc under the cursor, or all of a folder; or not any more."""
        table = self.query_one(Table)
        if table.selected is None:
            return
        meant = [table.selected]
        if table.selected not in self._rows:  # a folder
            meant = [name for name in self._matching() if name.startswith(table.selected)]
        self._marked = self._marked - set(meant) if self._marked >= set(meant) else self._marked | set(meant)
        table.mark(self._marked)
        table.action_move(1)
        self._describe(table.selected)
        self.refresh_bindings()

    def action_all(self) -> None:
        """Opens the quiet ones, or folds them into one line."""
        self._all = not self._all
        self._show()

    def action_tree(self) -> None:
        self._tree = not self._tree
        self._show()

    def show_sorted(self) -> None:
        self._show()

    def action_clear(self) -> None:
        """Takes what is said of an outage away; else ends the filter; without one, takes the marks away."""
        if self.query_one(Status).close_card():
            return
        line = self.query_one(TypedLine)
        if line.display and self._back_to is not None and line.value == self._back_to[0]:
            self.post_message(messages.OpenFindings(self._back_to[1]))
        self._back_to = None
        if not line.display:
            self._marked = frozenset()
        line.close(empty=True)
        self._show()
        self.set_focus(self.query_one(Table))
        self.refresh_bindings()
