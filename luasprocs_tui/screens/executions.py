"""The executions as they come, the newest at the bottom."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from luasprocs.executions import Execution, time_text
from luasprocs_tui.records import RECORDS_LIMIT, Batch
from luasprocs_tui.safe import clean
from luasprocs_tui.widgets.status import COMMIT_SHOWN, STALE_AFTER_S, Status, age
from luasprocs_tui.widgets.table import CELL_CHARACTERS, Column, Line, Table

if TYPE_CHECKING:
    from textual.app import ComposeResult

COLUMNS = (
    Column("TIME (UTC)", 12, 12),
    Column("SPROC", 10, 40),
    Column("TRIGGER", 7, 20),
    Column("STATUS", 7, 7),
    Column("MS", 5, 11, right=True),
    Column("KEY", 6, 40),
    Column("RESULT", 4, 400, grow=True),
)
_TONES = {"skipped": "off", "missed": "off"}


def line_of(one: Execution) -> Line:
    """A record as the table takes it."""
    trigger = f"{one.trigger} {one.event}".strip()
    clock = time_text(one.time_ms).partition("T")[2].removesuffix("Z") or "?"
    cells = (clock, one.sproc, trigger, one.status, one.duration_ms_text, one.key, one.said)
    tone = "bad" if one.failed else _TONES.get(one.status, "ok")
    return Line(one.id, tuple(cell[:CELL_CHARACTERS] for cell in cells), tone)


def line_of_error(one: Execution) -> int:
    """The line of the sproc that its error names, from 1; 0 for none."""
    found = re.search(rf"(?:^|\W){re.escape(one.sproc)}:(\d{{1,7}})", one.error) if one.failed else None
    return int(found[1]) if found else 0


def facts_of(one: Execution) -> str:
    """What the table has no place for."""
    parts = [
        time_text(one.time_ms),
        f"origin {one.origin}" if one.origin.strip("-") else "",
        f"depth {one.depth}" if one.depth > 1 else "",
        f"commit {one.commit[:COMMIT_SHOWN]}" if one.commit else "",
        f"daemon {one.daemon}" if one.daemon else "",
    ]
    return "  ".join(clean(part, CELL_CHARACTERS) for part in parts if part)


class ExecutionsScreen(Screen[None]):
    """A ring of records. At the end it goes along with what comes; scrolled up it stays, and counts what came."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="executions.back"),
    ]

    class Came(Message):
        """Records were read, perhaps none."""

        def __init__(self, batch: Batch) -> None:
            super().__init__()
            self.batch = batch

    class Lost(Message):
        """They could not be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    class Opened(Message):
        """The sproc of a record was opened; `line`: where its error is, 0 for none."""

        def __init__(self, name: str, line: int = 0) -> None:
            super().__init__()
            self.name = name
            self.line = line

    def __init__(self) -> None:
        super().__init__()
        self._records: list[Execution] = []
        self._lines: list[Line] = []
        self._new = 0
        self._read_at_s: float | None = None
        self._error = ""
        self.left = threading.Event()
        """Set when nobody looks any more; the worker that reads for this screen ends then."""

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        with Horizontal(id="tail"):
            yield Static(id="tail-badge")
            yield Static(id="tail-new")
            yield Static(id="tail-facts")
        yield Table(COLUMNS, id="executions")
        yield Static(id="record")
        yield Footer()

    def on_mount(self) -> None:
        """Starts to say how old the data is."""
        table = self.query_one(Table)
        table.focus()
        self.watch(table, "scroll_y", self._say, init=False)
        self.set_interval(1, self._say)
        self._say()

    def on_unmount(self) -> None:
        """Lets the worker go."""
        self.left.set()

    @on(Came)
    def _came(self, event: Came) -> None:
        batch = event.batch
        self._read_at_s, self._error = batch.read_at_s, ""
        if batch.records or batch.whole:
            self._keep(batch)
        self._say()

    def _keep(self, batch: Batch) -> None:
        table = self.query_one(Table)
        follows, before = table.follows, len(self._records)
        fresh = [line_of(one) for one in batch.records]
        self._records = [*([] if batch.whole else self._records), *batch.records][-RECORDS_LIMIT:]
        self._lines = [*([] if batch.whole else self._lines), *fresh][-RECORDS_LIMIT:]
        self._new = 0 if follows else self._new + len(fresh)
        table.measure(self._lines)
        table.show_tail(self._lines, max(0, before + len(fresh) - len(self._lines)))

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        self._error = event.reason
        self._say()

    @on(Table.Moved)
    def _moved(self) -> None:
        self._say()

    @on(Table.Opened)
    def _opened(self) -> None:
        found = self._selected()
        if found and found.sproc:
            self.post_message(self.Opened(found.sproc, line_of_error(found)))

    def _selected(self) -> Execution | None:
        at = self.query_one(Table).cursor
        return self._records[at] if at < len(self._records) else None

    def _say(self) -> None:
        """Draws all but the table."""
        if not self.is_mounted:
            return
        follows = self.query_one(Table).follows
        self._new = 0 if follows else self._new
        badge, tone = badge_of(self._read_at_s, self._error, time.monotonic(), follows=follows)
        self._draw("#tail-badge", Text(f" {badge} ", no_wrap=True))
        self.query_one("#tail-badge").set_classes(tone)
        self._draw("#tail-new", Text(f" +{self._new} new (G) ", no_wrap=True))
        self.query_one("#tail-new").display = bool(self._new)
        facts = clean(self._error, CELL_CHARACTERS) or self._count()
        self._draw("#tail-facts", Text(facts, no_wrap=True, overflow="ellipsis"))
        found = self._selected()
        self._draw("#record", Text.assemble((facts_of(found), "dim"), "\n", clean(found.said)) if found else Text())

    def _draw(self, selector: str, text: Text) -> None:
        # Four times a second nothing has changed, most often; an update lays out the screen anew.
        widget = self.query_one(selector, Static)
        if widget.content != text:
            widget.update(text)

    def _count(self) -> str:
        if self._read_at_s is None:
            return "Executions"
        if not self._records:
            return "Executions: none recorded yet"
        count = len(self._records)
        kept = " (older ones are not kept here)" if count == RECORDS_LIMIT else ""
        return f"{count} execution{'' if count == 1 else 's'}{kept}"


def badge_of(read_at_s: float | None, error: str, now_s: float, *, follows: bool) -> tuple[str, str]:
    """The badge's text, and its tone: good, bad, or wait."""
    if read_at_s is None:
        return ("no connection", "bad") if error else ("connecting", "wait")
    age_s = now_s - read_at_s
    if error or age_s > STALE_AFTER_S:
        return f"{'connection lost' if error else 'no answer'}, data {age(age_s)} old", "bad"
    return ("live", "good") if follows else ("scrolled up", "wait")
