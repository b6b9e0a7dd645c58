"""What can be done here, in three columns: look, move, change."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.table import Table as Grid
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen
from textual.widgets import Static

from luasprocs_tui import actions
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.scroll import Scrolls, TextScroll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.widget import Widget

WIDE = 110
KEYS_WIDTH = 7
"""Cells of most keys: where the columns stand below each other, what is said of keys stands so, too."""
TITLES = {
    actions.LOOK: "Look",
    actions.MOVE: "Move",
    actions.CHANGE: f"Change ({actions.CHANGES})",
}
_MOVES = (("enter", "Opens."), ("esc", "Goes one step back."), ("ctrl+p", "Opens the palette."))


def _short(keys: str) -> str:
    return keys.replace("page", "pg").replace("down,", "dn,").replace("ctrl+", "^").replace(",", " ")


class Help(Scrolls, ModalScreen[None]):
    """Three columns where they fit, else one. `keys`: what a user has set."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss", "Close", id="help.close"),
        *actions.moves("help"),
    ]

    def __init__(self, place: str, keys: Mapping[str, str], *, read_only: bool) -> None:
        super().__init__()
        self._place, self._keys, self._read_only = place, keys, read_only

    def compose(self) -> ComposeResult:
        with TextScroll(id="text", classes="dialog"), Container(id="columns"):
            for kind, title in TITLES.items():
                yield Static(self._column(kind, title), classes="column")

    def _column(self, kind: str, title: str) -> Grid:
        grid = Grid.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, min_width=KEYS_WIDTH)
        grid.add_column()
        off = "  read-only: off" if kind == actions.CHANGE and self._read_only else ""
        grid.add_row("", Text.assemble((title, "bold underline"), off))
        for one in sorted(actions.here(self._place), key=lambda one: actions.footer_rank(one.target)):
            if one.kind == kind:
                key, command = clean(actions.key_of(one, self._keys), 20), f":{one.command}"
                grid.add_row(
                    Text(key or command, "bold"), Text.assemble(one.says, (f" {command}" if key else "", "dim"))
                )
        if kind == actions.MOVE:
            for name, does in (
                *_MOVES,
                *((_short(keys), f"Goes {says}.") for _, keys, _, says in actions.MOVES),
            ):
                grid.add_row(Text(name, "bold"), does)
        return grid

    def on_mount(self) -> None:
        text = self.query_one("#text")
        text.border_title, text.border_subtitle = "Keys and commands here", "esc closes"
        text.focus()

    def on_resize(self) -> None:
        self.query_one("#columns").set_class(self.app.size.width >= WIDE, "wide")

    @property
    def scrolled(self) -> Widget:
        return self.query_one("#text")
