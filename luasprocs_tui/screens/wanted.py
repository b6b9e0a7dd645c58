"""What git wants against what is live: of all, or of one sproc."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from luasprocs.state.desired import read_suspended, read_sync_state
from luasprocs_tui.controller.previews import wanted, wanted_of
from luasprocs_tui.screens.polled import TextScreen
from luasprocs_tui.widgets.dialog import coloured

if TYPE_CHECKING:
    from rich.text import Text

    from luasprocs_tui.backend.snapshot_reader import SnapshotReader


class WantedScreen(TextScreen):
    """The plan, its problems, drift; of one sproc the diff."""

    EVERY_S = 2.0

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.NAME = f"Git and live: {name}" if name else "Git and live"  # type: ignore[misc]  # its own
        self.sprocs = (name,) if name else ()

    def read(self, feed: SnapshotReader) -> Text:
        """In the worker thread."""
        if self.sprocs:
            return coloured("\n".join(feed.ask(partial(wanted_of, self.sprocs[0]))))
        state, suspended = feed.ask(read_sync_state), feed.ask(read_suspended)
        return coloured("\n".join(wanted(state, str(suspended) if suspended else "")))
