"""`luasprocs debug` in a real terminal of 80 by 24."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.tui.terminal import Terminal

pytestmark = pytest.mark.wording
SPROCS = Path(__file__).parents[3] / "sprocs"


def debugger(folder: Path, *words: str) -> Terminal:
    command = shlex.join((sys.executable, "-m", "sync.cli", "debug", *words))
    own = shlex.join(("sh", "-c", f"echo $$ > {folder}/pid; exec {command}"))
    return Terminal(folder, "sh", "-c", f"{own}; echo ended $?; sleep 60", columns=80, rows=24)


@pytest.fixture
def file(tmp_path) -> Path:
    repo = GitRepo(tmp_path / "shop")
    for name in ("sc2.lua", "inventory/reserve.lua", "lib/args.lua", "lib/inventory.lua"):
        repo.write(f"sprocs/{name}", (SPROCS / name).read_bytes())
    repo.write("luasprocs.toml", "")
    return repo.path / "sprocs"


def test_an_event_sproc_is_stepped_through_by_keys(file, tmp_path):
    with debugger(tmp_path, str(file / "sc2.lua")) as terminal:
        screen = terminal.shows("sc2.lua  line 11  entry", "11 > redis.call('SET', 'sc2'", "n Next", "KEYS = ")
        assert all(len(line) <= 80 for line in screen.splitlines())
        terminal.keys("k")
        terminal.shows('1 = "dream1"', '2 = "set"')
        terminal.keys("p")
        terminal.type("KEYS[1] .. '!'")
        terminal.keys("Enter")
        terminal.shows('  "dream1!"')
        terminal.keys("n")
        terminal.shows("SET sc2 dream1=example", "reply: null", "it has ended")
        terminal.keys("q")
        terminal.shows("ended 0")


def test_breakpoints_and_frames(file, tmp_path):
    words = (
        str(file / "inventory" / "reserve.lua"),
        "--key",
        "s",
        "--key",
        "r",
        "--key",
        "d",
        "1",
        "1000",
        "apple",
        "2",
    )
    with debugger(tmp_path, *words) as terminal:
        terminal.shows("reserve.lua  line 19  entry")
        terminal.keys("Down", "Down", "b")
        terminal.shows("21•  local inventory")
        terminal.keys("c")
        terminal.shows("line 21  breakpoint", "21•> local inventory", "Args = ")
        terminal.keys("s", "s", "s")  # as fast as they come
        terminal.shows("inventory.lua  line 22  step", "> inventory.lua:22")
        terminal.keys("w")
        terminal.shows("> reserve.lua:21", "21•> local inventory")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        terminal.shows("ended 143")
        assert terminal.modes.startswith("0"), "the screen goes with it"


def test_why_it_can_not_be_debugged_is_shown_whole(file, tmp_path):
    """It stood in the title alone, cut at its end; nor was the last line of what is said seen below one that is wrapped."""
    (file / "bom.lua").write_bytes(b"\xef\xbb\xbfreturn 1\n")
    with debugger(tmp_path, str(file / "bom.lua")) as terminal:
        screen = terminal.shows("can't be debugged", "without one")
        assert "starts with a BOM" in " ".join(screen.split())


def test_an_error_of_which_nothing_is_left_ends_the_session(file, tmp_path):
    """It stopped where it had no frame, and no key led on."""
    (file / "tail.lua").write_text("local name = 'none.lua'\nreturn sproc.call(name, {}, {})\n")
    with debugger(tmp_path, str(file / "tail.lua")) as terminal:
        terminal.shows("tail.lua  line 1  entry")
        terminal.keys("c")
        terminal.shows("it raised an error", "no sproc named 'none.lua'")
