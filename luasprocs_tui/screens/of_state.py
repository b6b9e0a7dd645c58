"""Tables of what the app's state holds: nothing more is read for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from luasprocs_tui.screens.lists import TableScreen

if TYPE_CHECKING:
    from luasprocs_tui.connection import Connection
    from luasprocs_tui.values.snapshots import Snapshot, State

T = TypeVar("T")


class StateTable(TableScreen[T], Generic[T]):
    """Subclasses say what of a snapshot its `rows` are."""

    def rows(self, snapshot: Snapshot) -> Sequence[T]:
        raise NotImplementedError

    def start(self, connection: Connection) -> None:
        """The app reads it."""

    def show_state(self, state: State) -> None:
        """The header, and the rows of a new snapshot."""
        super().show_state(state)
        self._freshness = state.freshness
        if state.snapshot:
            self.show(self.rows(state.snapshot))
        self.say()
