from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs_tui.values.safe import REPLACEMENT, clean
from tests.tui.pilot import FORBIDDEN

if TYPE_CHECKING:
    pass


def test_every_character_that_moves_the_cursor_is_replaced():
    every = "".join(map(chr, range(0x110000)))
    cleaned = clean(every, len(every))
    assert not FORBIDDEN & set(cleaned)
    cleaned.encode()
    assert clean("a\x1b[31mb") == f"a{REPLACEMENT}[31mb"
    assert len(clean("x" * 10**6)) == 4096
