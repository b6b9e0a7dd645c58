"""Generations, the newest first; what git wants; and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luasprocs.history import Generation, read_history
from luasprocs.sync_state import SyncState, read_suspended, read_sync_state
from luasprocs_tui import actions
from luasprocs_tui.screens.live import LiveScreen
from luasprocs_tui.widgets.status import COMMIT_SHOWN
from luasprocs_tui.widgets.table import Column, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.feed import Feed


class HistoryScreen(LiveScreen[Generation]):
    """With a line that says what git wants and why it is not live, if it isn't."""

    NAME = "History"
    NONE = "nothing was ever synced here"
    COLUMNS = (
        Column("GEN", 4, 8, right=True),
        Column("WHEN (UTC)", 12, 20),
        Column("WHAT", 5, 16),
        Column("COMMIT", 8, 10),
        Column("+ ~ -", 5, 14),
        Column("BY", 4, 30),
        Column("SUBJECT", 10, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("history")]

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""

    def read(self, feed: Feed) -> Sequence[Generation]:
        """All that are kept."""
        state, suspended = feed.ask(read_sync_state), feed.ask(read_suspended)
        self._wanted = _said(state, str(suspended) if suspended else "")
        return feed.ask(read_history)

    def _state(self) -> str:
        """What git wants, as long as it is fresh."""
        said = super()._state()
        return f"{said}  {self._wanted}" if said in {self.NONE, str(len(self._rows))} else said

    def line(self, row: Generation) -> Line:
        """One."""
        counts = f"{len(row.created)} {len(row.updated)} {len(row.deleted)}"
        when = row.applied_at[:19].replace("T", " ")
        cells = (str(row.generation), when, row.action, row.commit[:COMMIT_SHOWN], counts, row.applied_by, row.subject)
        return Line(str(row.generation), cells)

    def about(self, row: Generation) -> str:
        """What it changed."""
        parts = [*(f"+{name}" for name in row.created), *(f"~{name}" for name in row.updated)]
        return "  ".join([row.author, *parts, *(f"-{name}" for name in row.deleted)])


def _said(state: SyncState, suspended: str) -> str:
    if suspended:
        return f"syncs are suspended {suspended}"
    if not state.state:
        return "no daemon syncs here"
    wants = f"git wants {state.commit[:COMMIT_SHOWN]} {state.subject}".strip()
    return f"{state.state}: {wants}" + (f"; {state.reason}" if state.reason else "")
