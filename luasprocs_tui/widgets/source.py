"""A source, read-only, with line numbers: drawn line by line, so that ten thousand lines scroll as ten do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from luasprocs_tui import actions
from luasprocs_tui.widgets.scroll import Scrolls, set_content_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from textual.binding import BindingType


class SourceView(Scrolls, ScrollView, can_focus=True):
    """Lines with their numbers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.moves("source"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"source--number", "source--marked"}

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self._lines: Sequence[Text] = ()
        self._marked = 0
        self._hidden = False
        self._none = ""

    def mark(self, line: int) -> None:
        """Marks a line (from 1), and brings it to the middle of the screen."""
        self._marked = line
        self.call_after_refresh(
            lambda: self.scroll_to(y=max(0, line - 1 - self.size.height // 2), animate=False, force=True)
        )
        self.refresh()

    @property
    def marked(self) -> int:
        """The line that is marked, from 1; 0 for none."""
        return self._marked

    @property
    def text(self) -> str:
        """All of it, as it is shown."""
        return "\n".join(line.plain for line in self._lines)

    @property
    def _margin(self) -> int:
        return len(str(len(self._lines))) + 3

    def show(self, lines: Sequence[Text], none: str = "") -> None:
        """Replaces the lines; the place stays. `none`: what stands in place of no lines."""
        self._hidden, self._none = False, none
        if lines is self._lines:
            self.refresh()
            return
        self._lines = lines
        widest = max((line.cell_len for line in lines), default=0)
        set_content_size(self, Size(widest + self._margin, len(lines)))
        self.refresh()

    def hide(self) -> None:
        """Shows nothing until other lines come, and keeps its size: to lay the screen out anew takes as long as a key may."""
        if not self._hidden:
            self._hidden = True
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line with its number, which stays when the text scrolls sideways."""
        at, left = self.scroll_offset.y + y, self.scroll_offset.x
        width = self.scrollable_content_region.width
        if at == 0 and not self._lines and not self._hidden:
            said = Segment(self._none, self.get_component_rich_style("source--number"))
            return Strip([said]).adjust_cell_length(width, self.rich_style)
        if at >= len(self._lines) or self._hidden:
            return Strip.blank(width, self.rich_style)
        kind = "source--marked" if at + 1 == self._marked else "source--number"
        sign = "> " if at + 1 == self._marked else "  "  # not by colour alone
        number = Segment(f"{at + 1:>{self._margin - 2}}{sign}", self.get_component_rich_style(kind))
        segments = (one for one in self._lines[at].render(self.app.console) if one.text != "\n")
        body = Strip(
            Segment(one.text, self.rich_style + one.style if one.style else self.rich_style) for one in segments
        )
        room = max(0, width - self._margin)
        return Strip.join([Strip([number]), body.crop_extend(left, left + room, self.rich_style)])
