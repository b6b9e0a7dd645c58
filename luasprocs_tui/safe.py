"""Makes text from the registry safe to draw. All of it is hostile: names, headers, sources and the server's messages.

Markup never gets parsed, because what is drawn are Text objects; escape sequences never reach the terminal, because
control characters don't pass here.
"""

from __future__ import annotations

import unicodedata

from rich.text import Text

CHARACTERS_LIMIT = 4096
"""Of one text drawn; a terminal shows less, and cleaning a value of 1 MB at each key press would freeze it."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, bidi and invisible ones, lone surrogates, line breaks


class _Table(dict[int, str]):
    """For str.translate; it learns each character once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = REPLACEMENT if unicodedata.category(character) in _REFUSED else character
        return self[code]


_TABLE = _Table({ord("\n"): " ", ord("\r"): " ", ord("\t"): " "})


def clean(text: str, limit: int = CHARACTERS_LIMIT) -> str:
    """One line without a character that moves the cursor, hides, or turns the writing direction.

    Blanks stand for tabs and line breaks, U+FFFD for all else; what is longer than `limit` characters ends in `…`.
    """
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return short if short.isascii() and short.isprintable() else short.translate(_TABLE)


def safe_text(text: str, style: str = "") -> Text:
    """The same as a Text, which no widget parses for markup."""
    return Text(clean(text), style=style, no_wrap=True, overflow="ellipsis", end="")
