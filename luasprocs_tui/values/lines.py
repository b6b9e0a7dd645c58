"""Texts of several lines, safe and with colours. Pure."""

from __future__ import annotations

from rich.text import Text

from luasprocs_tui.values.safe import clean

BENEATH = "\n"
"""Ends the key of a line of a table that says more of the row above it, and that no cursor stands on."""
TEXT_LIMIT = 20_000
"""Characters shown of a text."""


def coloured(text: str, *, diff: bool = True) -> Text:
    """Safe lines; those of a diff in its colours. A reply is none: -1 is nothing bad."""
    styles = {"+": "green", "-": "red", "@": "cyan"} if diff else {}
    cut = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}\n… ({len(text)} characters)"
    lines = [Text(clean(line, 2000), style=styles.get(line[:1], "")) for line in cut.split("\n")]
    return Text("\n").join(lines)
