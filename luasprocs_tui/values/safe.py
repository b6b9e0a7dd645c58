"""Makes text from the registry safe to draw: names, headers, sources and the server's messages are hostile.

Markup is never parsed, because only Text objects and segments are drawn. Escape sequences never reach the
terminal, because control characters don't pass here.
"""

from __future__ import annotations

import unicodedata

CHARACTERS_LIMIT = 4096
"""Of one text drawn; a terminal shows less, and cleaning 1 MB at each key press would freeze it."""

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

    Blanks stand for tabs and line breaks, U+FFFD for all else; what is longer than `limit` ends in `…`.
    """
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return short if short.isascii() and short.isprintable() else short.translate(_TABLE)
