"""A line to type into below a table: a filter, a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from luasprocs_tui.widgets.recall import Recall

if TYPE_CHECKING:
    from textual.binding import BindingType


class TypedLine(Recall):
    """Hidden until it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Take it", id="typed.submit")]

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__("/", id=id)

    def on_mount(self) -> None:
        self.display = False

    def open(self, hint: str, value: str | None = None) -> None:
        """Shows it, and gives it the focus; `value`: instead of what stands there."""
        self.placeholder = hint
        if value is not None:
            self.value = value
        self.display = True
        self.screen.set_focus(self)

    def close(self, *, empty: bool = False) -> None:
        if empty:
            self.value = ""
        self.display = False
