"""The ribbon in a real terminal: which commit a sproc fails since, with keys only, opened after it had happened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.tui.screens.test_ribbon import broken
from tests.tui.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("columns", "colours"), [(80, ()), (160, ("NO_COLOR=1",))], ids=["80", "160-no-colour"])
@pytest.mark.wording
def test_errors_began_with_a_commit(server: Server, tmp_path: Path, columns: int, colours: tuple[str, ...]) -> None:
    broken(server.client())
    command = ("env", *colours, sys.executable, "-m", "luasprocs_tui", "--redis", server.url)
    with Terminal(tmp_path, *command, columns=columns, rows=24) as terminal:
        terminal.shows("FAILING", "a.lua")
        terminal.keys("g", "W")
        shown = terminal.shows("Since when: a.lua", "gen 2 by Ann: Charge twice", "2! Ann: Charge twice", "◆")
        runs, errors = (next(line for line in shown.splitlines() if name in line[:8]) for name in ("runs ", "errors "))
        assert "█" in errors
        assert "·" in errors, "it ran before, and all went well"
        assert runs.count("█") == errors.count("█")
        terminal.keys("b")
        terminal.shows("Roll back to generation 1?", "a.lua")
        terminal.keys("Escape")
        terminal.hides("Roll back to")
        terminal.keys("a")
        terminal.shows("Since when: all sprocs", "! a.lua: errors began")
        terminal.keys("Escape")
        terminal.shows("FAILING", "b.lua")
