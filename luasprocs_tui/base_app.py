"""What every part of the screen may ask of the app: its state, a toast, and keys that wait."""

from __future__ import annotations

from textual.reactive import reactive

from luasprocs_tui.keys_in_order import KeysInOrder
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.snapshots import State


class BaseApp(KeysInOrder):
    """The app as those below its screens know it."""

    state: reactive[State] = reactive(State(""), repaint=False)
    """Those who show it draw what has changed of it."""

    def __init__(self) -> None:
        super().__init__()
        self.typed: dict[str, list[str]] = {}
        """Lines that were typed, the newest last, by what they were typed at: `:` or `/`."""

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed here."""
        return self.state.read_only

    @property
    def why_read_only(self) -> str:
        """Why nothing is changed, and what to do about it."""
        return "read-only: nothing is changed; start without --read-only to do it"

    def toast(self, text: str, *, bad: bool = False) -> None:
        """Says it for some seconds."""
        self.notify(clean(text, 600), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    def refresh_now(self) -> None:
        """Reads what is shown again now."""
