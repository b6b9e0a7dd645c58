"""The panels beside a list: what is selected there is read, again and again, as long as they are shown."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from textual import on

from luasprocs_tui import messages
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.values.error_lines import line_of_error
from luasprocs_tui.values.rows import Rates
from luasprocs_tui.values.snapshots import PULSES
from luasprocs_tui.widgets.panels import Panels

if TYPE_CHECKING:
    from textual.message import Message
    from textual.widget import Widget

    from luasprocs_tui.connection import Connection
    from luasprocs_tui.poller import Poller
    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.rows import Row

WIDE = 120
"""Columns from which on there is room for panels."""
EVERY_S, SETTLED_S = 2.0, 0.15
"""How often the sproc is read; and how long the cursor rests on another one before it is shown."""


class WithPanels(BaseScreen):
    """A list that has `Panels`, and says which row is selected."""

    def __init__(self) -> None:
        super().__init__()
        self._read_by: Connection | None = None
        self._reading: Poller[Message] | None = None
        self._about: About | None = None
        self._beside = self._rested = ""
        self._rates: dict[str, deque[tuple[float, float]]] = {}

    @property
    def row(self) -> Row | None:
        """The one that is selected."""
        raise NotImplementedError

    @property
    def no_row(self) -> tuple[str, str]:
        """What the panels say without one: title and text."""
        raise NotImplementedError

    def on_resize(self) -> None:
        """More room, or less."""
        wide = self.size.width >= WIDE
        if wide != self.has_class("wide"):
            self.set_class(wide, "wide")
        self.show_beside()

    def keep_rates(self, rows: tuple[Row, ...], names: tuple[str, ...]) -> None:
        """Of a new snapshot, for the rows on the screen."""
        wanted = {*names, self._beside}
        kept = {name: self._rates.get(name) or deque(maxlen=PULSES) for name in wanted if name}
        for row in rows:
            if row.name in kept and row.counters.per_s is not None:
                kept[row.name].append((row.counters.per_s, row.counters.errors_per_s or 0.0))
        self._rates = kept

    def show_beside(self) -> None:
        """What is known of the selected one; of another one once the cursor rests there: keys go before."""
        if (name := self.row.name if self.row else "") == self._beside:
            if name == self._rested:
                self._draw_beside()
            return
        first, self._beside, self._about = not self._beside, name, None
        if first:
            self._rests_on(name)
        else:
            self.set_timer(SETTLED_S, partial(self._rests_on, name))

    def _rests_on(self, name: str) -> None:
        if name != self._beside:
            return
        self._rested = name
        self.query_one(Panels).hide_source()
        self._draw_beside()
        self._read_now()

    def _draw_beside(self) -> None:
        if not self.has_class("wide"):
            return
        rates = self._rates.get(self._beside, ())
        seen = Rates(tuple(runs for runs, _ in rates), tuple(errors for _, errors in rates))
        self.query_one(Panels).show(self.row, self._about, seen, self.shell.state.now_ms(), self.no_row)
        self._read_now(again=False)

    def _read_now(self, *, again: bool = True) -> None:
        """Begins to read, of each connection once; `again`: not only when its time comes."""
        if not (self.is_mounted and self.has_class("wide") and self.shell.state.snapshot):
            return
        connection = self.shell.connection
        if connection is not self._read_by:
            self._read_by = connection
            self._reading = connection.poll(self, lambda: self._read(connection), EVERY_S, "beside")
        elif again and self._reading is not None:
            self._reading.ask()

    def _read(self, connection: Connection) -> Message:
        """In a thread."""
        from luasprocs_tui.screens.reading import read_about  # noqa: PLC0415  # pygments, after the first paint
        from luasprocs_tui.values.about import About  # noqa: PLC0415  # as above

        name, snapshot = self._beside, self.shell.state.snapshot
        if not name or snapshot is None or not self.has_class("wide") or not self.is_current:
            return messages.AboutRead(About(""), ())
        generation = snapshot.revision.generation
        return read_about(connection.backend, name, generation, dark=self.app.current_theme.dark)

    @on(messages.AboutRead)
    def _about_read(self, event: messages.AboutRead) -> None:
        if event.about.name and event.about.name == self._beside == self._rested:
            self._about = event.about
            marked = line_of_error(self._beside, event.about.stats.last_error)
            self.query_one(Panels).show_source(event.lines, marked)
            self.show_beside()

    def show_again(self) -> None:
        super().show_again()
        self.show_beside()

    def action_whole(self) -> None:
        """The panel that has the focus takes all the room, or gives it back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def watch_maximized(self, before: Widget | None, now: Widget | None) -> None:
        """Says how it goes back: there is no footer."""
        for one, said in ((before, ""), (now, "z or esc gives the room back")):
            if one is not None:
                one.border_subtitle = said
        self.show_beside()
