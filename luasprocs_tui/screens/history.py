"""Generations, the newest first; what git wants; and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs.registry.history import Generation
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.lists import TableScreen
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.numbers import ID_SHOWN
from luasprocs_tui.values.sync_status import sync_line
from luasprocs_tui.values.times import restamped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.backend.protocol import Backend


class HistoryScreen(TableScreen[Generation]):
    """With what git wants and why it is not live, if it isn't; of one sproc only the generations that changed it."""

    PLACE = "history"
    NONE = "nothing was ever synced here"
    UNSORTED = "the newest first"
    WRAPS = True
    COLUMNS = (
        Column("GEN", 4, 8, right=True),
        Column("WHEN (UTC)", 12, 20),
        Column("WHAT", 5, 16),
        Column("COMMIT", 8, 10, rank=1),
        Column("+ ~ -", 5, 14),
        Column("BY", 4, 30),
        Column("SUBJECT", 10, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("history")]

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._sproc = name
        self._wanted = ""

    @property
    def heading(self) -> str:
        return f"History of {self._sproc}" if self._sproc else "History"

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._sproc,) if self._sproc else ()

    def read(self, backend: Backend) -> Sequence[Generation]:
        status = backend.sync_status()
        self._wanted = sync_line(status.state, str(status.suspended) if status.suspended else "")
        found, name = backend.history(), self._sproc
        return [one for one in found if name in {*one.created, *one.updated, *one.deleted}] if name else found

    def fresh(self) -> str:
        return f"{super().fresh()}  {self._wanted}"

    def line(self, row: Generation) -> Line:
        counts = f"{len(row.created)} {len(row.updated)} {len(row.deleted)}"
        when = restamped(row.applied_at)
        by = row.author.partition(" <")[0] or row.applied_by
        cells = (str(row.generation), when, row.action, row.commit[:ID_SHOWN], counts, by, row.subject)
        return Line(str(row.generation), cells)

    def about(self, row: Generation) -> str:
        parts = [*(f"+{name}" for name in row.created), *(f"~{name}" for name in row.updated)]
        parts += [*(f"-{name}" for name in row.deleted), *(f"repaired: {what}" for what in row.healed)]
        by = [f"by {row.author}"] if row.author else []
        return "  ".join(filter(None, (row.subject, *by, f"applied by {row.applied_by}", *parts)))

    @on(messages.RowOpened)
    def _opened(self) -> None:
        if row := self.selected:
            self.controller.show_generation(row, self._sproc)

    def action_roll_back(self) -> None:
        if row := self.selected:
            self.controller.roll_back(row.generation)
