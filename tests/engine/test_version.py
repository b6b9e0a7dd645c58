"""Two builds with one VERSION have one engine: each would take the other's for damage, and repair it."""

from __future__ import annotations

from luasprocs.contract.keys import Keys
from luasprocs.engine import TEXTS, VERSION, render


def test_the_version_rises_with_the_text():
    now = render(Keys(), "owner", 0).id
    assert max(TEXTS) == VERSION
    assert TEXTS[VERSION] == now, (
        f"the engine's text has changed: raise VERSION in luasprocs/engine/__init__.py, and put {VERSION + 1}: {now!r} into TEXTS"
        " (then run this again: the text has the VERSION in it)"
    )
    assert len(set(TEXTS.values())) == len(TEXTS)
