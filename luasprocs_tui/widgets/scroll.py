"""Texts that are scrolled by the same keys as lists are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import VerticalScroll
from textual.widget import Widget

from luasprocs_tui import actions

if TYPE_CHECKING:
    from textual.binding import BindingType
    from textual.geometry import Size
    from textual.scroll_view import ScrollView


def set_content_size(view: ScrollView, size: Size) -> None:
    """As large is what a view shows. The screen is laid out anew only if a scrollbar comes or goes: Textual does so at each
    change, for which keys wait 20 ms.
    """
    if size != view.virtual_size:
        view.set_reactive(Widget.virtual_size, size)
        view._scroll_update(size)  # noqa: SLF001  # what a layout calls, too


class Scrolls:
    """Moves itself, or (a dialog) the text in it."""

    @property
    def scrolled(self) -> Widget:
        return cast("Widget", self)

    def action_move(self, by: int) -> None:
        self.scrolled.scroll_relative(y=by, animate=False)

    def action_page(self, by: float) -> None:
        self.scrolled.scroll_relative(y=round(by * max(2, self.scrolled.size.height - 1)), animate=False)

    def action_end(self, by: int) -> None:
        self.scrolled.scroll_to(y=0 if by < 0 else self.scrolled.max_scroll_y, animate=False)


class TextScroll(Scrolls, VerticalScroll):
    """A text that is longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [*actions.moves("text")]

    def __init__(self, *children: Widget, **settings: Any) -> None:
        super().__init__(*children, can_focus=True, **settings)
