"""A line to type into that brings back what was typed before."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast

from textual.binding import Binding, BindingType
from textual.widgets import Input

LINES_KEPT = 100
_TYPED = {"slash": "/", "plus": "+", "minus": "-"}
"""Keys that are characters, too, which Textual doesn't know: it would offer them while one types."""


class KeepsLines(Protocol):
    """The app: lines that were typed, the newest last, by kind."""

    typed: dict[str, list[str]]


class Recall(Input):
    """Up and down go through the lines of its `kind`, which the app keeps as long as it runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", "Typed before", show=False, id="recall.before"),
        Binding("down", "recall(1)", "Typed after", show=False, id="recall.after"),
    ]

    def __init__(self, kind: str, **settings: Any) -> None:
        super().__init__(select_on_focus=False, **settings)
        self._kind = kind
        self._back = 0
        self._own = ""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return super().check_consume_key(key, character or _TYPED.get(key))

    @property
    def _before(self) -> list[str]:
        return cast("KeepsLines", self.app).typed.setdefault(self._kind, [])

    async def action_submit(self) -> None:
        """Keeps the line, once."""
        lines, self._back = self._before, 0
        if self.value.strip():
            lines[:] = [*(line for line in lines if line != self.value), self.value][-LINES_KEPT:]
        await super().action_submit()

    def action_recall(self, by: int) -> None:
        """Shows an earlier line, or a later one; behind the last stands what was typed and not sent."""
        lines = self._before
        back = max(0, min(self._back - by, len(lines)))
        if back == self._back:
            return
        self._own = self._own if self._back else self.value
        self._back = back
        self.value = lines[-back] if back else self._own
        self.cursor_position = len(self.value)
