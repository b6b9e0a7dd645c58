"""A source with its line numbers, breakpoints, the line where it stands, and a cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.text import Text
    from textual.binding import BindingType


class Listing(ScrollView, can_focus=True):
    """`cursor`: the line that a breakpoint is set on, from 1."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("left", "aside(-10)", show=False),
        Binding("right", "aside(10)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"listing--number", "listing--here", "listing--cursor"}

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self._lines: Sequence[Text] = ()
        self._here = 0
        self._stops: Collection[int] = ()
        self.cursor = 1

    def show(self, lines: Sequence[Text], here: int, stops: Collection[int]) -> None:
        """`here`: where it stands, 0 for nowhere; the cursor goes there."""
        self._lines, self._here, self._stops = lines, here, stops
        self.cursor = max(1, here)
        widest = max((line.cell_len for line in lines), default=0)
        self.virtual_size = Size(widest + self._margin, len(lines))
        self._follow()

    def mark(self, stops: Collection[int]) -> None:
        self._stops = stops
        self.refresh()

    def action_move(self, by: int) -> None:
        self.cursor = max(1, min(len(self._lines), self.cursor + by))
        self._follow()

    def action_aside(self, by: int) -> None:
        self.scroll_relative(x=by, animate=False)

    def _follow(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if not top + 1 <= self.cursor - 1 < top + height - 1:
            self.scroll_to(y=max(0, self.cursor - 1 - height // 2), animate=False, force=True)
        self.refresh()

    @property
    def _margin(self) -> int:
        return len(str(len(self._lines))) + 3

    def render_line(self, y: int) -> Strip:
        at, left = self.scroll_offset.y + y, self.scroll_offset.x
        width = self.scrollable_content_region.width
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = at + 1
        kind = "here" if line == self._here else "cursor" if line == self.cursor else "number"
        signs = f"{'•' if line in self._stops else ' '}{'>' if line == self._here else ' '}"  # not by colour alone
        number = Segment(f"{line:>{self._margin - 3}}{signs} ", self.get_component_rich_style(f"listing--{kind}"))
        segments = (one for one in self._lines[at].render(self.app.console) if one.text != "\n")
        body = Strip(
            Segment(one.text, self.rich_style + one.style if one.style else self.rich_style) for one in segments
        )
        room = max(0, width - self._margin)
        return Strip.join([Strip([number]), body.crop_extend(left, left + room, self.rich_style)])
