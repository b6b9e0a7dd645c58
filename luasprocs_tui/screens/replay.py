"""A record run again, on a throw-away server: with the source of then, of now, and of a draft, and what each wrote."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Static

from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import SprocActions
from luasprocs_tui.values.replays import shown
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.scroll import TextScroll
from luasprocs_tui.widgets.status import Status

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from luasprocs.state.executions import Execution
    from luasprocs_tui.connection import Connection
    from luasprocs_tui.values.replays import Compared


BESIDE_TEXT = 3
"""Cells that the blanks beside the text and its scrollbar take."""
RUNNING = Text("a server is started and the sproc run …", "dim")


class ReplayScreen(SprocActions):
    """Runs when it opens, when it is asked to, and when the draft was written on. The draft is live only when it is applied."""

    PLACE = "replay"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="replay.back"),
        *actions.bindings("replay"),
    ]

    def __init__(self, record: Execution) -> None:
        super().__init__()
        self._record = record
        self._connection: Connection | None = None
        self._found: Compared | None = None

    @property
    def heading(self) -> str:
        return f"Replay of {self._record.sproc}"

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._record.sproc,)

    def compose(self) -> ComposeResult:
        yield Status()
        yield Static(Text.assemble(self.way, (clean(self.heading, 400), "bold")), id="title")
        with TextScroll(id="text"):
            yield Static(RUNNING, id="body")
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys scroll it."""
        self.query_one("#text").focus()

    def start(self, connection: Connection) -> None:
        """Runs it."""
        self._connection = connection
        self._run(connection)

    def action_again(self) -> None:
        if self._connection is not None:
            self._found = None
            draw(self, "#body", RUNNING, sized=True)
            self._run(self._connection)

    def action_draft(self) -> None:
        self.controller.edits.draft(self._record.sproc, self.action_again)

    def action_apply(self) -> None:
        self.controller.edits.apply_draft(self._record.sproc)

    def _run(self, connection: Connection) -> None:
        draft = self.controller.edits.drafted(self._record.sproc)
        read = partial(connection.backend.replay, self._record, draft)
        connection.read_once(self, lambda: messages.ReplayRead(read()), "replay")

    @on(messages.ReplayRead)
    def _read(self, event: messages.ReplayRead) -> None:
        self._found = event.found
        self.on_resize()

    def on_resize(self) -> None:
        """What is too long for a line goes on below its beginning."""
        if self._found is not None:
            draw(self, "#body", shown(self._record, self._found, self.size.width - BESIDE_TEXT), sized=True)

    @on(messages.ReadFailed)
    def _failed(self, event: messages.ReadFailed) -> None:
        draw(self, "#body", Text(clean(event.reason, 2000), "red"), sized=True)
