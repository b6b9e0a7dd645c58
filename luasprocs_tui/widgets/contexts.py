"""The contexts, each with how it is: read while one looks, so that a server that hangs holds nothing up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from luasprocs_tui import messages
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.contexts import NOT_YET, ContextFacts, matching
from luasprocs_tui.widgets.fitted import Dialog
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

COLUMNS = (
    Column("NAME", 8, 30),
    Column("STATE", 10, 24),
    Column("FAILING", 7, 7, right=True),
    Column("DAEMONS", 7, 7, right=True),
    Column("URL", 10, 200, grow=True),
)


class Contexts(Dialog["str | None"]):
    """What is typed filters them; up and down move, enter goes there.

    `read(name, then)` calls `then` later, in the app's thread.
    """

    LEAVES = "enter goes there, esc cancels"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="contexts.cancel"),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False, id="contexts.up"),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, id="contexts.down"),
    ]

    def __init__(
        self,
        shown: Sequence[tuple[str, str]],
        read: Callable[[str, Callable[[ContextFacts], object]], object],
    ) -> None:
        super().__init__()
        self._shown, self._read = shown, read
        self._facts = {name: NOT_YET for name, _ in shown}

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Text("Go to", style="bold"))
            yield Input(placeholder="type to filter", id="which", compact=True)
            yield Table(COLUMNS, id="contexts")

    def on_mount(self) -> None:
        self.query_one(Table).can_focus = False
        self.query_one(Table).none = "no context matches"
        self.query_one(Table).styles.height = min(len(self._shown), 20) + 1
        self._draw()
        for name in self._facts:
            self._read(name, partial(self._came, name))

    def _came(self, name: str, found: ContextFacts) -> None:
        self._facts[name] = found
        if self.is_attached:
            self._draw()

    def _draw(self) -> None:
        table = self.query_one(Table)
        lines = [self._line(name, url) for name, url in matching(self._shown, self.query_one(Input).value)]
        table.measure(self._line(*one) for one in self._shown)
        table.show_lines(lines)

    def _line(self, name: str, url: str) -> Line:
        found = self._facts[name]
        return Line(name, (name, found.state, found.failing, found.daemons, url), found.tone)

    @on(Input.Changed)
    def _typed(self) -> None:
        self._draw()
        self.query_one(Table).action_end(-1)

    @on(Input.Submitted)
    def _chosen(self) -> None:
        if chosen := self.query_one(Table).selected:
            self.dismiss(chosen)

    @on(messages.RowOpened)
    def _opened(self, event: messages.RowOpened) -> None:
        self.dismiss(event.key)

    def action_move(self, by: int) -> None:
        self.query_one(Table).action_move(by)
