"""The `:` line: an action by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class CommandLine(ModalScreen["str | None"]):
    """At the bottom; the right arrow takes what is suggested."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="command.cancel")]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def compose(self) -> ComposeResult:
        yield Input(placeholder=":", suggester=SuggestFromList(self._names), id="command")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip().removeprefix(":"))
