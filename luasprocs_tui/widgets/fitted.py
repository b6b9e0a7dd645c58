"""What all dialogs are: as high as what they say needs, and the screen allows; and they say how one leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets._toast import Toast, ToastRack  # Textual exports them nowhere

if TYPE_CHECKING:
    from textual.widget import Widget

T = TypeVar("T")

SHARE = 0.9
"""Of the screen's height, as `app.tcss` gives it."""
BORDERS, LEAST = 2, 3
BUTTONS = 3
"""Lines of buttons; of all else a line, as long as the sizes are not known yet."""


class Dialog(ModalScreen[T]):
    """One `.dialog`, in which one child scrolls: that gets the lines that the others leave."""

    LEAVES: ClassVar[str] = "esc cancels"

    def on_mount(self) -> None:
        """Says how one leaves it."""
        self.query_one(".dialog").border_subtitle = self.LEAVES
        others = (one for one in self.query_one(".dialog").children if one is not self._scrolled)
        self._leave(sum(BUTTONS if one.has_class("buttons") else 1 for one in others))
        self.screen_layout_refresh_signal.subscribe(
            self, lambda _: self.fit_soon()
        )  # a toast takes lines, and gives them back

    def fit_soon(self) -> None:
        """Once the others have their sizes."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not self.is_attached:
            return
        parts = self.query_one(".dialog").children
        said = sum(one.outer_size.height for one in self.query(Toast))  # their rack is invisible, which has no size
        said += sum(one.styles.margin.bottom for one in self.query(ToastRack) if said)
        self._leave(sum(one.outer_size.height for one in parts if one is not self._scrolled), said)

    @property
    def _scrolled(self) -> Widget | None:
        parts = self.query_one(".dialog").children
        return next((one for one in parts if isinstance(one, VerticalScroll | OptionList)), None)

    def _leave(self, others: int, said: int = 0) -> None:
        """Gives what scrolls the lines that the others leave, and what is said below."""
        if self._scrolled is not None:
            room = int((self.app.size.height - said) * SHARE) - BORDERS - others
            self._scrolled.styles.max_height = max(LEAST, room)
