"""Texts that are drawn again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.dom import DOMNode


def in_theme(text: Text) -> Text:
    """The same in the theme's colours: to Textual a style of all of it is one of CSS, whose red can't be read with NO_COLOR."""
    if not text.style:
        return text
    found = text.copy()
    found.style = ""
    found.stylize_before(text.style)
    return found


def draw(node: DOMNode, selector: str, text: Text, *, sized: bool = False) -> Static:
    """Updates a text, if it is another. `sized`: the widget is as large as its text, so the screen is laid out anew.

    A layout takes 20 ms, for which keys wait; most often nothing has changed, or only what stands in a widget of fixed size.
    """
    widget, text = node.query_one(selector, Static), in_theme(text)
    if widget.content != text:
        widget.update(text, layout=sized)
    return widget
