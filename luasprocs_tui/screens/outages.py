"""Times in which nobody heard: one line each, not one for each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luasprocs.language.values import some_of
from luasprocs_tui import actions
from luasprocs_tui.screens.base import Acknowledging
from luasprocs_tui.screens.of_state import StateTable
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.outages import Outage, outages_of
from luasprocs_tui.values.times import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.values.snapshots import Snapshot


class OutagesScreen(StateTable[Outage], Acknowledging):
    """The newest first; those that nobody has acknowledged stand out."""

    PLACE = "outages"
    heading = "Outages"
    OPENS = False
    NONE = "none is known"
    WRAPS = GROWS = True
    UNSORTED = "the newest first"
    COLUMNS = (
        Column("FROM (UTC)", 19, 19),
        Column("LENGTH", 6, 6, right=True),
        Column("SPROCS", 6, 6, right=True),
        Column("CATCH UP", 8, 8, right=True),
        Column("SCHEDULES", 9, 9, right=True),
        Column("WHY", 20, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("outages")]

    def rows(self, snapshot: Snapshot) -> Sequence[Outage]:
        return outages_of(snapshot)

    def line(self, row: Outage) -> Line:
        cells = (
            stamp(row.from_ms),
            age((row.to_ms - row.from_ms) / 1000) if row.sources or row.to_ms > row.from_ms else "",
            str(len(row.sprocs) or ""),
            str(len(row.caught) or "none") if row.sprocs and not row.repeat else "",
            str(len(row.missed) or ""),
            row.why,
        )
        tone = "off" if not row.new else "warn" if row.repeat or not row.sources else "bad"
        return Line(
            f"{row.from_ms} {row.repeat} {row.sources} {row.missed}",
            cells,
            tone,
            {"bad": "●", "warn": "◐"}.get(tone, " "),
        )

    def about(self, row: Outage) -> str:
        parts = [
            f"events {some_of([_event_of(one) for one in row.sources])} {'may have run twice' if row.repeat else 'were not seen'}"
            if row.sources
            else "",
            *self._caught_up(row),
            f"missed times of {some_of(row.missed)}{'' if row.sources else f', noticed {stamp(row.to_ms, zone=True)}'}; "
            f"{self.shell.state.key_of('execute')} in the list runs it now, {self.shell.state.key_of('cron')} counts them"
            if row.missed
            else "",
            f"{self.shell.state.key_of('acknowledge')} once you have dealt with it" if row.new else "acknowledged",
        ]
        return "; ".join(part for part in parts if part)

    def _caught_up(self, row: Outage) -> list[str]:
        if row.repeat:
            return []
        ran = f"{some_of(row.caught)} ran for each key that matches now (catchup=scan)" if row.caught else ""
        left = [name for name in row.sprocs if name not in row.caught]
        return [ran, f"nothing catches up for {some_of(left)}" if left else ""]


def _event_of(source: str) -> str:
    """Its name, without the channel that it comes by."""
    return source.partition("__:")[2] or source
