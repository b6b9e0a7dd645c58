"""Texts that are drawn again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

if TYPE_CHECKING:
    from rich.text import Text
    from textual.dom import DOMNode


def draw(node: DOMNode, selector: str, text: Text, *, sized: bool = False) -> Static:
    """Updates a text, if it is another. `sized`: the widget is as large as its text, so the screen is laid out anew.

    A layout takes 20 ms, for which keys wait; most often nothing has changed, or only what stands in a widget of fixed size.
    """
    widget = node.query_one(selector, Static)
    if widget.content != text:
        widget.update(text, layout=sized)
    return widget
