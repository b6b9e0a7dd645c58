from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs_tui import messages
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.values.source_lines import lines_of
from tests.tui.snapshots.frozen import app, opened, shown

if TYPE_CHECKING:
    import pytest

SOURCE = b"-- event=set\n-- key=order:*\nlocal card\nif not card then error('no card') end\nreturn 42\n"


@shown
def test_a_source_at_a_line(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    made, size = app(monkeypatch, shown)
    loaded = lambda: messages.SourceRead(lines_of(SOURCE), "c0ffee" * 6)  # noqa: E731  # one value
    assert snap_compare(
        made, terminal_size=size, run_before=opened(lambda: SourceScreen("billing/charge.lua", 4), loaded)
    )
