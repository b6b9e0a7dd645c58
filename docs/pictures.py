"""Makes the pictures of the README from real runs: `python docs/pictures.py`."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from luasprocs.server.embedded import EmbeddedServer
from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import Context
from sync.demo import examples
from sync.demo_traffic import moving

HERE = Path(__file__).parent
COLUMNS, LINES = 110, 30
LOUD = "-- description=says it louder\nreturn 'HELLO ' .. (ARGV[1] or 'WORLD')\n"
STEPS = (
    ("luasprocs", "sync"),
    ("luasprocs", "execute", "sc1.lua", "--key", "greeting"),
    ("change",),
    ("luasprocs", "plan"),
    ("luasprocs", "sync"),
    ("luasprocs", "rollback"),
    ("luasprocs", "history"),
)


def terminal(folder: Path, url: str) -> None:
    """A sync, a change, a rollback, as a terminal shows them."""
    sprocs = folder / "sprocs"
    sprocs.mkdir()
    for name in ("sc1.lua", "sc2.lua", "sc3.lua", "sc4.lua"):
        (sprocs / name).write_bytes((examples() / name).read_bytes())
    environ = {**os.environ, "LUASPROCS_REDIS": url, "FORCE_COLOR": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    identity = ("-c", "user.name=Demo", "-c", "user.email=demo@example.invalid")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    shown = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for words in (("commit", "The first sprocs"), *STEPS):
        if words[0] == "change":
            (sprocs / "sc1.lua").write_text(LOUD, encoding="utf-8")
        if words[0] in {"change", "commit"}:
            subprocess.run(["git", "add", "."], cwd=folder, check=True)
            subprocess.run(["git", *identity, "commit", "-qm", words[-1]], cwd=folder, check=True)
            continue
        shown.print(Text("$ " + " ".join(words), style="bold"))
        command = [sys.executable, "-m", "sync.cli", *words[1:]]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        shown.print(Text.from_ansi(done.stdout + done.stderr))
    (HERE / "terminal.svg").write_text(shown.export_svg(title="luasprocs"), encoding="utf-8")


async def screens(url: str) -> None:
    """The list of sprocs, the executions, and one that failed."""
    app = TuiApp(Context("", url), poll_s=0.1)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        await pilot.pause(3)
        picture(app, "screen")
        await pilot.press("x")
        await pilot.pause(1)
        picture(app, "executions")
        await pilot.press("slash", *"failed", "enter", "k", "enter")
        await pilot.pause(1)
        picture(app, "record")


def picture(app: TuiApp, name: str) -> None:
    """What stands on the screen."""
    (HERE / f"{name}.svg").write_text(app.export_screenshot(), encoding="utf-8")


def main() -> None:
    """Writes docs/terminal.svg from a repository of its own, the others from the server of `luasprocs demo --screen`."""
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "server") as server:
        folder = Path(name) / "shop"
        folder.mkdir()
        terminal(folder, server.url)
    with tempfile.TemporaryDirectory() as name, moving(Path(name)) as url:
        asyncio.run(screens(url))


if __name__ == "__main__":
    main()
