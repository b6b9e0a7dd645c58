"""An empty Textual app: what the screen's first paint is measured against. Imports nothing of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.widgets import Footer, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Empty(App[None]):
    """One text and a footer."""

    def compose(self) -> ComposeResult:
        yield Static("NAME")
        yield Footer()


if __name__ == "__main__":
    Empty().run()
