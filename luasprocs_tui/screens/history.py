"""Generations, the newest first; what git wants; and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.message import Message

from luasprocs.registry.history import Generation, read_history
from luasprocs.state.desired import read_suspended, read_sync_state
from luasprocs_tui import actions
from luasprocs_tui.controller.previews import wanted_said
from luasprocs_tui.screens.polled import TableScreen
from luasprocs_tui.widgets.status import COMMIT_SHOWN
from luasprocs_tui.widgets.table import Column, Line, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.backend.snapshot_reader import SnapshotReader


class HistoryScreen(TableScreen[Generation]):
    """With what git wants and why it is not live, if it isn't; of one sproc only the generations that changed it."""

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

    class Opened(Message):
        """A generation was opened; `name`: of the sproc whose history it is, or ""."""

        def __init__(self, generation: Generation, name: str) -> None:
            super().__init__()
            self.generation = generation
            self.name = name

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.NAME = f"History of {name}" if name else "History"  # type: ignore[misc]  # its own
        self._sproc = name
        self._wanted = ""

    @property
    def sprocs(self) -> tuple[str, ...]:
        """The one whose history it is."""
        return (self._sproc,) if self._sproc else ()

    def read(self, feed: SnapshotReader) -> Sequence[Generation]:
        """All that are kept."""
        state, suspended = feed.ask(read_sync_state), feed.ask(read_suspended)
        self._wanted = wanted_said(state, str(suspended) if suspended else "")
        found = feed.ask(read_history)
        return (
            [one for one in found if self._sproc in {*one.created, *one.updated, *one.deleted}]
            if self._sproc
            else found
        )

    def fresh(self) -> str:
        """How many, and what git wants."""
        return f"{super().fresh()}  {self._wanted}"

    def line(self, row: Generation) -> Line:
        """One."""
        counts = f"{len(row.created)} {len(row.updated)} {len(row.deleted)}"
        when = row.applied_at[:19].replace("T", " ")
        by = row.author or row.applied_by
        cells = (str(row.generation), when, row.action, row.commit[:COMMIT_SHOWN], counts, by, row.subject)
        return Line(str(row.generation), cells)

    def about(self, row: Generation) -> str:
        """What it changed."""
        parts = [*(f"+{name}" for name in row.created), *(f"~{name}" for name in row.updated)]
        return "  ".join([f"applied by {row.applied_by}", *parts, *(f"-{name}" for name in row.deleted)])

    @on(Table.Opened)
    def _opened(self) -> None:
        if row := self.selected:
            self.post_message(self.Opened(row, self._sproc))
