"""The ribbon of time: as wide as it is, one hour to a day, with a generation that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from luasprocs_tui.values.freshness import READING
from luasprocs_tui.values.ribbon import SPANS, lines_of
from luasprocs_tui.widgets.drawing import in_theme

if TYPE_CHECKING:
    from luasprocs.registry.history import Generation
    from luasprocs_tui.values.ribbon import Past


OTHERS = 7
"""Lines of the screen that others take."""


class Ribbon(Widget):
    """Shows a `Past`; before there is one it says that it is read."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.past: Past | None = None
        self.minutes = SPANS[0]
        self._chosen = 0
        self._failed = ""

    def fail(self, reason: str) -> None:
        """Why there is none yet."""
        self._failed = reason
        self.refresh()

    def show(self, past: Past) -> None:
        """Another day; the generation that was chosen stays, as long as it is shown."""
        if past != self.past:
            self.past = past
            self.refresh(layout=True)

    @property
    def generations(self) -> list[Generation]:
        """Those that have a tick, the newest first."""
        return self.past.shown(self.minutes) if self.past else []

    @property
    def chosen(self) -> Generation | None:
        """The one that was chosen, else the one that errors began with, else the newest."""
        found = {one.generation: one for one in self.generations}
        meant = [one.generation.generation for _, one in self.past.onsets] if self.past else []
        wanted = next((one for one in (self._chosen, *meant, *found) if one in found), 0)
        return found.get(wanted)

    def choose(self, step: int) -> None:
        """The next earlier (1) or later (-1) one."""
        numbers = [one.generation for one in self.generations]
        if numbers and self.chosen:
            place = numbers.index(self.chosen.generation) + step
            self._chosen = numbers[min(len(numbers) - 1, max(0, place))]
            self.refresh()

    def zoom(self, step: int) -> None:
        """More time (1) or less (-1)."""
        place = min(len(SPANS) - 1, max(0, SPANS.index(self.minutes) + step))
        self.minutes = SPANS[place]
        self.refresh(layout=True)

    def render(self) -> Text:
        if self.past is None:
            return in_theme(Text(self._failed or READING, "red" if self._failed else "dim"))
        chosen, width = self.chosen, max(1, self.size.width)
        return Text("\n").join(lines_of(self.past, width, self.minutes, chosen.generation if chosen else 0, self._room))

    @property
    def _room(self) -> int:
        """Lines that it can have without being scrolled."""
        return self.screen.size.height - OTHERS

    def get_content_height(self, container: object, viewport: object, width: int) -> int:  # noqa: ARG002  # Textual's
        return len(lines_of(self.past, max(1, width), self.minutes, height=self._room)) if self.past else 3
