"""What both the command line and the screen keep from the terminal."""

from __future__ import annotations

import unicodedata

import pytest

from luasprocs.operations.terminal import encodable
from luasprocs.operations.terminal import escaped as in_shell
from luasprocs_tui.values.safe import REPLACEMENT
from luasprocs_tui.values.safe import clean as on_screen

HOSTILE = {
    "zero width space": "\u200b", "joiner": "\u200d", "word joiner": "\u2060", "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff", "override": "\u202e", "isolate": "\u2066", "arabic letter mark": "\u061c",
    "hangul filler": "\u3164", "half filler": "\uffa0",
    "braille blank": "\u2800", "variation": "\ufe0f", "further variation": "\U000e0100", "tag": "\U000e0041", "line": "\u2028",
    "escape": "\x1b", "C1": "\x9b", "private": "\ue000", "grapheme joiner": "\u034f", "half": "\ud800", "nobody's": "\u0378",
}  # fmt: skip


@pytest.mark.parametrize("character", HOSTILE.values(), ids=HOSTILE)
def test_neither_shows_it(character):
    assert on_screen(f"a{character}b") == f"a{REPLACEMENT}b"
    shown = in_shell(f"a{character}b")
    assert shown == f"a{ascii(character)[1:-1]}b"
    assert shown.isascii()


def test_what_people_write_stays():
    text = "Zürich, naïve, e\u0301, 日本語, עברית, العربية, ไทย, 😴 — “quoted” … ½ €"
    assert (on_screen(text), in_shell(text)) == (text, text)
    assert in_shell("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert on_screen("two\nlines\tand a tab") == "two lines and a tab"


def test_every_character_is_printable_or_replaced():
    every = [chr(code) for code in range(0x110000)]
    for shown in (in_shell("".join(every)), on_screen("".join(every), len(every))):
        kinds = {unicodedata.category(character) for character in set(shown) - set("\n\t")}
        assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        shown.encode()


def test_a_byte_that_is_no_utf_8_is_shown_as_that_byte():
    """It was shown as the surrogate that it comes as, `\\udcff`."""
    text = b"a\xff\x80b".decode("utf-8", "surrogateescape")
    assert in_shell(text) == encodable(text) == "a\\xff\\x80b"
    assert encodable("\ud83d: \x1b, é") == "\\ud83d: \x1b, é"
