"""The `:` line: an action by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Static

from luasprocs_tui.values.completion import completed, completions
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.recall import Recall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Mapping as Map

    from textual.app import ComposeResult

CANDIDATES_SHOWN = 400
"""Characters of them."""


class _First(Suggester):
    def __init__(self, found: Callable[[str], list[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._found = found

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self._found(value)), None)


class CommandLine(ModalScreen["str | None"]):
    """At the bottom. Tab completes as far as it is sure, then goes round; the right arrow takes what is suggested."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="command.cancel"),
        Binding("tab", "complete(1)", "Complete", priority=True, id="command.complete"),
        Binding("shift+tab", "complete(-1)", "Complete", priority=True, show=False, id="command.complete_back"),
    ]

    def __init__(self, names: Sequence[str], words: Map[str, Sequence[str]]) -> None:
        super().__init__()
        self._names, self._words = names, words
        self._round: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="typing"):
            yield Static(id="candidates")
            yield Recall(":", placeholder=":", suggester=_First(self._found), id="command")

    def _found(self, typed: str) -> list[str]:
        return completions(typed, self._names, self._words)

    def action_complete(self, way: int) -> None:
        """What is sure; else the next of those that it can be."""
        line = self.query_one(Recall)
        if line.value not in self._round:
            self._round = []
            found = self._found(line.value)
            sure = completed(line.value, found, self._words)
            if sure == line.value and len(found) > 1:
                self._round = found
            line.value = sure
            self._say(found if len(found) > 1 else [])
        if self._round:
            at = self._round.index(line.value) + way if line.value in self._round else 0
            line.value = self._round[at % len(self._round)]
        line.cursor_position = len(line.value)

    def _say(self, found: Sequence[str]) -> None:
        shown = Text(clean("  ".join(found), CANDIDATES_SHOWN), no_wrap=True, overflow="ellipsis")
        self.query_one("#candidates", Static).update(shown)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip().removeprefix(":"))
