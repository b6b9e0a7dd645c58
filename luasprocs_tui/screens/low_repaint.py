"""A screen that is drawn where something has changed, and as long as it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import Reactive, reactive
from textual.screen import Screen

if TYPE_CHECKING:
    from textual.widget import Widget


class LowRepaintScreen(Screen[None]):
    """Of two things that Textual draws all of the screen for, which keys would wait for, it does neither.

    It is not drawn anew when the focus moves: the widgets that show it are. And the screen on top of it is not, whenever
    something changes in this one, which goes on below, unless that is a dialog that leaves it to be seen.
    """

    focused: Reactive[Widget | None] = reactive(None, repaint=False)

    def _compositor_refresh(self) -> None:
        stack = self.app.screen_stack
        above = stack[stack.index(self) + 1 :] if self in stack else []
        if all(screen.is_modal for screen in above):
            super()._compositor_refresh()
