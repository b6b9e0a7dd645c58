"""Since when, and by which generation: the ribbon of one sproc, or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from luasprocs.operations.onset import onset
from luasprocs.state.minutes import EVERYONE
from luasprocs_tui import actions
from luasprocs_tui.screens.data import DataScreen
from luasprocs_tui.values.ribbon import Past
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import restamped
from luasprocs_tui.widgets.drawing import draw
from luasprocs_tui.widgets.ribbon import Ribbon

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from luasprocs.registry.history import Generation
    from luasprocs_tui.backend.protocol import Backend

FAILING_READ = 20
"""Of all sprocs those that fail are asked since when, at most so many."""


class RibbonScreen(DataScreen[Past]):
    """What was counted before it is opened is there, too: it is kept for a day."""

    PLACE = "ribbon"
    EVERY_S = 2.0
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("ribbon")]

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._sproc = self._shown = name

    @property
    def heading(self) -> str:
        return f"Since when: {self._shown or 'all sprocs'}"

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._shown,) if self._shown else ()

    def fresh(self) -> str:
        """Keys for which a narrow footer has no room."""
        other = ("  a all" if self._shown else "  a the one") if self._sproc else ""
        return f"← → generation{other}"

    def content(self) -> ComposeResult:
        with VerticalScroll(id="text"):
            yield Ribbon()
        yield Static(id="detail")

    def on_mount(self) -> None:
        self.query_one("#text").focus()

    def read(self, backend: Backend) -> Past:
        name = self._shown
        meant = (name,) if name else self._failing()
        days, history = backend.minutes([name or EVERYONE, *meant]), backend.history()
        found = ((one, onset(days[one], history, one)) for one in meant)
        return Past(name, days[name or EVERYONE], history, tuple((one, began) for one, began in found if began))

    def _failing(self) -> tuple[str, ...]:
        snapshot = self.shell.state.snapshot
        failing = (row.name for row in (snapshot.rows if snapshot else ()) if row.counters.failing)
        return tuple(failing)[:FAILING_READ]

    def show(self, found: Past) -> None:
        """Draws it, if it is still what is to be shown."""
        if found.name == self._shown:
            self.query_one(Ribbon).show(found)

    def show_failed(self, reason: str) -> None:
        self.query_one(Ribbon).fail(clean(reason, 2000))

    def say(self) -> None:
        super().say()
        if self.is_mounted:
            chosen = self.query_one(Ribbon).chosen
            none = "no generation came in this time: h lists all" if self._freshness.read_at_s is not None else ""
            said = about(chosen) if chosen else none
            draw(self, "#detail", Text(clean(said, 400), no_wrap=True, overflow="ellipsis"))

    def action_earlier(self) -> None:
        self.query_one(Ribbon).choose(1)
        self.say()

    def action_later(self) -> None:
        self.query_one(Ribbon).choose(-1)
        self.say()

    def action_longer(self) -> None:
        self.query_one(Ribbon).zoom(1)
        self.say()

    def action_shorter(self) -> None:
        self.query_one(Ribbon).zoom(-1)
        self.say()

    def action_everyone(self) -> None:
        """All, or the sproc that it was opened for."""
        if self._sproc:
            self._shown = "" if self._shown else self._sproc
            self.say()
            self.read_again()

    def action_way_back(self) -> None:
        """Shows what a rollback to the generation before the chosen one would change, and asks."""
        chosen = self.query_one(Ribbon).chosen
        if chosen is None:
            self.shell.toast("no generation came in this time: h lists all, and b rolls back to one there", bad=True)
        elif chosen.generation <= 1:
            self.shell.toast("there is none before generation 1", bad=True)
        else:
            self.controller.roll_back(chosen.generation - 1)


def about(one: Generation) -> str:
    """The generation that is chosen, and what `b` does."""
    names = [
        *(f"+{name}" for name in one.created),
        *(f"~{name}" for name in one.updated),
        *(f"-{name}" for name in one.deleted),
    ]
    back = f"b: back to gen {one.generation - 1}" if one.generation > 1 else ""
    parts = (f"gen {one.generation}", restamped(one.applied_at, zone=True), one.commit[:8], back, *names)
    return "  ".join(filter(None, parts))
