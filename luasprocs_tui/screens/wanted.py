"""What git wants against what is live: of all, or of one sproc."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luasprocs_tui import actions
from luasprocs_tui.screens.data import TextScreen
from luasprocs_tui.values.differences import git_lines
from luasprocs_tui.values.lines import coloured
from luasprocs_tui.values.sync_status import sync_line, sync_lines

if TYPE_CHECKING:
    from rich.text import Text
    from textual.binding import BindingType

    from luasprocs_tui.backend.protocol import Backend


class WantedScreen(TextScreen):
    """The plan, its problems, drift; of one sproc the diff."""

    PLACE = "wanted"
    EVERY_S = 2.0
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("wanted")]

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._sproc = name

    @property
    def heading(self) -> str:
        return f"Git and live: {self._sproc}" if self._sproc else "Git and live"

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._sproc,) if self._sproc else ()

    def read(self, backend: Backend) -> Text:
        if self._sproc:
            found = backend.git_difference(self._sproc)
            wants = sync_line(backend.sync_status().state, "") if found.waits else ""
            return coloured("\n".join(git_lines(found, wants)))
        status, snapshot = backend.sync_status(), self.shell.state.snapshot
        suspended = str(status.suspended) if status.suspended else ""
        return coloured("\n".join(sync_lines(status.state, suspended, snapshot.revision if snapshot else None)))
