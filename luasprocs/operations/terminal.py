"""What must not reach a terminal: characters that drive it, turn the writing direction, break lines, or can't be seen.

Two names that look alike must not be two names; nor may a text end where it goes on. A `str` from Redis, git, HTTP, a file or a
terminal is not believed: only a `Printable` is printed, drawn, logged or written into a commit's message.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Callable

Printable = NewType("Printable", str)
"""A text without such characters: made here of any text, elsewhere only of such texts."""

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks of format and direction, halves of characters, what has no shape anybody knows, line breaks."""
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
_SURROGATES = re.compile("[\ud800-\udfff]")
_INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800),
        (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""Fillers, joiners and variation selectors, which Unicode counts as letters, marks or symbols."""


def is_hostile(character: str) -> bool:
    """Whether a character must not reach a terminal; tabs and line feeds are among them."""
    return unicodedata.category(character) in _REFUSED or character in _INVISIBLE


class Replacing(dict[int, str]):
    """A table for str.translate that has something else for hostile characters; it learns each character once."""

    def __init__(self, instead: Callable[[str], str], known: dict[str, str]) -> None:
        super().__init__((ord(character), text) for character, text in known.items())
        self._instead = instead

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = self._instead(character) if is_hostile(character) else character
        return self[code]


def clean(text: str, table: Replacing) -> Printable:
    """The text with what the table has."""
    return Printable(text if text.isascii() and text.isprintable() else text.translate(table))


def escape(character: str) -> str:
    """A character as Python writes it; a byte that is no UTF-8, which comes as a surrogate, as `\\xff`."""
    code = ord(character)
    return f"\\x{code & 0xFF:02x}" if _FIRST_BYTE <= code <= _LAST_BYTE else ascii(character)[1:-1]


def encodable(text: str) -> str:
    """Text that UTF-8 can have: bytes that are none, and halves of characters, as escapes."""
    return _SURROGATES.sub(lambda found: escape(found[0]), text)


_ESCAPES = Replacing(escape, {"\t": "\t", "\n": "\n", "\r": "\\x0d"})
_IN_A_LINE = Replacing(escape, {"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(text: str) -> Printable:
    """Hostile characters as escapes; tabs and line feeds stay."""
    return clean(text, _ESCAPES)


def in_a_line(text: str) -> Printable:
    """Those, too, as escapes."""
    return clean(text, _IN_A_LINE)
