"""The executions as they come, the newest at the bottom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from luasprocs.state.executions import Execution
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.polled import PolledScreen
from luasprocs_tui.values.alike import Alike, Kinds
from luasprocs_tui.values.cascade import chain_of
from luasprocs_tui.values.columns import CELL_CHARACTERS
from luasprocs_tui.values.execution_lines import COLUMNS, MEASURED, NONE, counted_of, line_of, said_of
from luasprocs_tui.values.filters import EXECUTIONS_HINT, NO_MATCH, execution_matcher, problem_of
from luasprocs_tui.values.freshness import READING, Freshness
from luasprocs_tui.values.numbers import short_number
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.sheets import as_json
from luasprocs_tui.values.snapshots import RECORDS_LIMIT
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.line import TypedLine
from luasprocs_tui.widgets.status import Status
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult
    from textual.message import Message

    from luasprocs_tui.backend.protocol import Backend
    from luasprocs_tui.values.snapshots import Batch


class ExecutionsScreen(PolledScreen):
    """A ring of records. At the end it goes along with what comes; scrolled up it stays, and counts what came: once the ring is
    full, what one reads neither goes away nor is drawn again until the end is reached.

    A filter leaves only what matches; a search goes from match to match, and leaves the others around it. Those that say the same
    are one line if it was opened with a filter, or asked to.
    """

    PLACE = "executions"
    GROUP = "executions"
    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.bindings("executions"),
        Binding("escape", "back", "Back", id="executions.back"),
    ]

    def __init__(self, name: str = "", wanted: str = "") -> None:
        super().__init__()
        self.sproc, self._at_first = name, wanted
        self._kept: list[Execution] = []
        self._records: list[Execution] = []
        self._together, self._kinds = bool(wanted), Kinds()
        self._alike: list[Alike] = []
        self._new = 0
        self._stopped = False
        self._freshness = Freshness()

    @property
    def heading(self) -> str:
        return f"Executions of {self.sproc}" if self.sproc else "Failures" if self._at_first else "Executions"

    @property
    def every_s(self) -> float:
        """As often as the shell says."""
        return self.shell.poll_s

    def reader(self, backend: Backend) -> Callable[[], Message]:
        tail = backend.tail(self.sproc)
        return lambda: messages.RecordsRead(tail.read())

    def compose(self) -> ComposeResult:
        yield Status()
        with Horizontal(id="tail"):
            yield Static(id="tail-badge")
            yield Static(id="tail-new")
            yield Static(id="tail-facts")
        yield Table(COLUMNS, id="executions")
        with Vertical(id="below"):  # four rows, so that the table keeps its size
            yield Static(id="record")
            with Horizontal(id="typed"):
                yield TypedLine(id="filter")
                yield TypedLine(id="find")
        yield KeyLine()

    def on_mount(self) -> None:
        """Starts to say how old the data is."""
        table = self.query_one(Table)
        self.set_focus(table)
        self.watch(table, "scroll_y", self._say, init=False)
        self.set_interval(1, self._say)
        if self._at_first:
            self.action_filter(self._at_first)
        self.call_after_refresh(self._say)

    @property
    def _filter(self) -> TypedLine:
        return self.query_one("#filter", TypedLine)

    def _wanted(self, records: Sequence[Execution]) -> list[Execution]:
        if not self.sproc and not self._filter.value.strip():
            return [*records]
        matches = execution_matcher(self._filter.value)
        return [one for one in records if self.sproc in {"", one.sproc} and matches(one)]

    @on(messages.RecordsRead)
    def _records_read(self, event: messages.RecordsRead) -> None:
        batch = event.batch
        self._freshness = Freshness(batch.read_at_s)
        if batch.records or batch.whole:
            self._keep(batch)
        if self._stopped and self.query_one(Table).follows:
            self._show_all()
        self._say()

    def _keep(self, batch: Batch) -> None:
        self._kept = [*([] if batch.whole else self._kept), *batch.records][-RECORDS_LIMIT:]
        if batch.whole:
            self._records, self._kinds, self._stopped = [], Kinds(), False
        self._add(self._wanted(batch.records))

    def _add(self, fresh: Sequence[Execution]) -> None:
        if self._together:
            self._add_alike(fresh)
            return
        table, before = self.query_one(Table), len(self._records)
        self._new = 0 if table.follows else self._new + len(fresh)
        self._stopped = self._stopped or (not table.follows and 0 < before > RECORDS_LIMIT - len(fresh))
        if self._stopped:
            return
        self._records = records = [*self._records, *fresh][-RECORDS_LIMIT:]
        # Columns are as wide as the last ones need: to look at thousands a second would keep keys waiting.
        table.measure(map(line_of, fresh[-MEASURED:]), more=before > 0)
        keys = [one.id for one in records]
        table.show_tail(keys, lambda at: line_of(records[at]), before + len(fresh) - len(records))

    def _add_alike(self, fresh: Sequence[Execution]) -> None:
        self._kinds.add(fresh)
        found = self._kinds.all()
        self._alike = [one for _, one in found]
        self._records = [one.last for one in self._alike]
        lines = [line_of(one.last, one.runs)._replace(key=key) for key, one in found]
        table = self.query_one(Table)
        table.measure(lines)
        table.show_lines(lines)

    @on(messages.ReadFailed)
    def _read_failed(self, event: messages.ReadFailed) -> None:
        self._freshness = Freshness(self._freshness.read_at_s, event.reason)
        self._say()

    @on(messages.CursorMoved)
    def _moved(self) -> None:
        self._say()

    @on(messages.RowOpened)
    def _opened(self) -> None:
        if found := self._selected():
            known = dict.fromkeys((*self._records, *self._kept))
            self.post_message(messages.OpenRecord(found, chain_of(found, known)))

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self._show_all()
        self._say()

    def _say_none(self) -> None:
        """Why there are no rows."""
        none = NONE if not self._kept else NO_MATCH
        self.query_one(Table).none = none if self._freshness.read_at_s is not None else self._freshness.error or READING

    def _show_all(self) -> None:
        self._records, self._kinds, self._new, self._stopped = [], Kinds(), 0, False
        self._add(self._wanted(self._kept))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self.set_focus(self.query_one(Table))
        if event.input.id == "find":
            self.query_one("#find", TypedLine).close()
            self.action_next_match()
        elif not event.value:
            self._filter.close()

    def action_filter(self, text: str | None = None) -> None:
        """Opens the filter, or filters by a text."""
        self._filter.open(EXECUTIONS_HINT, text)
        if text is not None:
            self.set_focus(self.query_one(Table))

    def action_each(self) -> None:
        """Shows each run, or one line for those that say the same."""
        self._together = not self._together
        self._show_all()
        self.query_one(Table).action_end(-1 if self._together else 1)
        self._say()

    def action_find(self, text: str | None = None) -> None:
        """Opens the search, or goes to the next match of a text."""
        self.query_one("#find", TypedLine).open("find: words or ~regex; n and N jump to matches", text or "")
        if text is not None:
            self.query_one("#find", TypedLine).close()
            self.query_one(Table).focus()
            self.action_next_match()

    def action_next_match(self) -> None:
        """Towards the newest, and round."""
        self._go(1)

    def action_previous_match(self) -> None:
        """Towards the oldest, and round."""
        self._go(-1)

    def _go(self, by: int) -> None:
        text = self.query_one("#find", TypedLine).value
        if not text.strip():
            self.action_find()
            return
        matches, count, table = execution_matcher(text), len(self._records), self.query_one(Table)
        ways = ((table.cursor + by * step) % count for step in range(1, count + 1)) if count else ()
        at = next((at for at in ways if matches(self._records[at])), None)
        if at is None:
            self.notify(f"nothing here matches {clean(text, 100)}", markup=False)
            return
        if (at - table.cursor) * by <= 0:
            end, start = ("newest", "oldest") if by > 0 else ("oldest", "newest")
            self.notify(f"past the {end}: on from the {start}", timeout=2, markup=False)
        table.go_to(at)

    def exported(self) -> tuple[str, str]:
        return f"{self.PLACE}.json", as_json(one._asdict() for one in self._records)

    def action_back(self) -> None:
        """Ends the search, or the filter unless it was opened with that; else leaves."""
        find = self.query_one("#find", TypedLine)
        if find.display:
            find.close(empty=True)
        elif self._filter.display and (self._filter.has_focus or self._filter.value != self._at_first):
            self._filter.close(empty=True)
        else:
            self.app.pop_screen()
            return
        self.set_focus(self.query_one(Table))

    def _selected(self) -> Execution | None:
        at = self.query_one(Table).cursor
        return self._records[at] if at < len(self._records) else None

    def _say(self) -> None:
        if not self.is_mounted:
            return
        follows = self._together or self.query_one(Table).follows
        self._new = 0 if follows else self._new
        badge, tone = badge_of(self._freshness, time.monotonic(), follows=follows)
        self.query_one(Table).stale = bool(self._kept) and self._freshness.stale(time.monotonic())
        draw(self, "#tail-badge", Text(f" {badge} ", no_wrap=True), sized=True)
        self.query_one("#tail-badge").set_classes(tone)
        draw(self, "#tail-new", Text(f" +{short_number(self._new)} new (G) ", no_wrap=True))
        self.query_one("#tail-new").display = bool(self._new)
        facts = clean(self._freshness.error or problem_of(self._filter.value), CELL_CHARACTERS) or self._count()
        draw(self, "#tail-facts", Text.assemble(self.way, facts, no_wrap=True, overflow="ellipsis"))
        draw(self, "#record", self._said())
        self._say_none()

    def _said(self) -> Text:
        """About the row under the cursor."""
        if (found := self._selected()) is None:
            return Text()
        alike, older = self._alike if self._together else [], len(self._kept) == RECORDS_LIMIT
        counted = counted_of(alike[self.query_one(Table).cursor], older=older) if alike else ""
        return said_of(found, self.size.width - 2, counted)

    def _count(self) -> str:
        kept = len(self._kept)
        if self._freshness.read_at_s is None or not kept:
            return self.heading
        if self._together:
            runs, kinds = sum(one.runs for one in self._alike), len(self._alike)
            return f"{self.heading}  {runs} run{'s' * (runs != 1)} of {kinds} kind{'s' * (kinds != 1)} (a: each)"
        older = " (older ones are not shown)" if kept == RECORDS_LIMIT else ""
        if self.sproc:
            return f"{len(self._records)} of {clean(self.sproc, 100)} in the last {kept}{older}"
        if self._filter.value.strip():
            return f"{len(self._records)} of the last {kept} executions{older}"
        return f"{kept} execution{'' if kept == 1 else 's'}{older}"


def badge_of(freshness: Freshness, now_s: float, *, follows: bool) -> tuple[str, str]:
    """The badge's text, and its tone: good, bad, or wait."""
    return freshness.badge(now_s) or (("live", "good") if follows else ("scrolled up", "wait"))
