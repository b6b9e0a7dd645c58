"""What was typed into a form and not applied: kept as it was, and never taken for more than it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.drafts import Drafts
from luasprocs.operations.header_drafts import HeaderDrafts
from tests.live import sproc

if TYPE_CHECKING:
    from pathlib import Path

OPENED = sproc("a.lua", "-- event=set\n-- key=dream*\nreturn 1 -- ä")


def test_it_comes_back_and_goes(tmp_path: Path) -> None:
    drafts = Drafts("here", tmp_path)
    headers = HeaderDrafts(drafts)
    assert headers.of("a.lua") is None
    headers.keep(OPENED, {"key": "nap*", "event": None})
    found = headers.of("a.lua")
    assert found is not None
    assert (found.base, found.source, found.changes) == (OPENED.blob, OPENED.source, {"key": "nap*", "event": None})
    assert drafts.of("a.lua") is None  # the source's own is another one
    headers.keep(OPENED, {})
    assert headers.of("a.lua") is None


@pytest.mark.parametrize(
    "stored",
    [b"", b"\xff", b"1", b"[]", b"{}", b'{"source": 1, "changes": {"a": "b"}}', b'{"source": "x", "changes": []}'],
)
def test_a_file_that_somebody_has_broken_is_none(tmp_path: Path, stored: bytes) -> None:
    headers = HeaderDrafts(Drafts("here", tmp_path))
    headers.keep(OPENED, {"key": "nap*"})
    (path,) = (one for one in tmp_path.rglob("*") if one.is_file())
    path.write_bytes(stored)
    assert headers.of("a.lua") is None
