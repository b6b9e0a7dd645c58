"""What stands between a start and the first paint."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from luasprocs_tui.app import TuiApp
from tests.tui.pilot import unconnected

if TYPE_CHECKING:
    import pytest

HEAVY = {"redis", "lupa", "git", "aiohttp", "prometheus_client", "zoneinfo", "tomllib", "pygments"}
LATER = {"backend", "connection", "controller"}
"""Parts of the screen that are imported after the first paint."""


def test_nothing_of_redis_is_imported_before_it() -> None:
    code = "import json, sys, luasprocs_tui.__main__, luasprocs_tui.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = set(json.loads(done.stdout))
    assert not HEAVY & {name.partition(".")[0] for name in found}
    own = {name.split(".")[1] for name in found if name.startswith("luasprocs_tui.")}
    assert not LATER & own
    assert "luasprocs_tui.screens.sprocs" in found
    assert "luasprocs_tui.screens.opening" not in found


def test_nor_before_that_of_the_debugger() -> None:
    code = "import json, sys, luasprocs_tui.debugger.__main__; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.partition(".")[0] for name in json.loads(done.stdout)}


async def test_style_sheets_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A colour that is set once the app is made would have all of them parsed again."""
    anew: list[str] = []
    whole = TuiApp.refresh_css

    def refresh_css(app: TuiApp, *, animate: bool = True) -> None:
        anew.append(app.theme)
        whole(app, animate=animate)

    monkeypatch.setattr(TuiApp, "refresh_css", refresh_css)
    async with unconnected().run_test() as pilot:
        await pilot.pause()
        assert not anew
        pilot.app.theme = "luasprocs-light"
        await pilot.pause()
        assert anew == ["luasprocs-light"]
