"""Makes text from the registry safe to draw: names, headers, sources and the server's messages are hostile.

Markup is never parsed, because only Text objects and segments are drawn. Escape sequences never reach the
terminal, because control characters don't pass here.
"""

from __future__ import annotations

from luasprocs.operations import terminal

CHARACTERS_LIMIT = 4096
"""Of one text drawn; a terminal shows less, and cleaning 1 MB at each key press would freeze it."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_TABLE = terminal.Replacing(lambda _: REPLACEMENT, {"\n": " ", "\r": " ", "\t": " "})


def clean(text: str, limit: int = CHARACTERS_LIMIT) -> terminal.Printable:
    """One line without a character that moves the cursor, hides, or turns the writing direction.

    Blanks stand for tabs and line breaks, U+FFFD for all else; what is longer than `limit` ends in `…`.
    """
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return terminal.clean(short, _TABLE)
