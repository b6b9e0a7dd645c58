"""What a terminal is like after the screen was ended, or stopped, from outside."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.live import put, sproc
from tests.tui.pilot import shows, unconnected
from tests.tui.terminal import Terminal
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnServer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def shell(own_server: OwnServer, tmp_path: Path) -> Terminal:
    """One with a command `screen`, which says at last what it ended with, and whether the terminal's modes are as they were."""
    own = own_server()
    put(own.client(), sproc("a.lua", "return 1"))
    command = f"{sys.executable} -m luasprocs_tui --redis {own.url}"
    (tmp_path / "rc").write_text(
        f"PS1='ready> '; cd {tmp_path}; stty -a >before\n"
        f"screen() {{ sh -c 'echo $$ >pid; exec {command}'; echo ended $?; stty -a | diff before - && echo the same; }}\n"
    )
    return Terminal(tmp_path, "bash", "--rcfile", str(tmp_path / "rc"), "-i", columns=80, rows=24)


def assert_as_it_was(terminal: Terminal) -> None:
    """No alternate screen, no reports of the mouse, a cursor that is seen."""
    until(lambda: terminal.modes == "0 0 1", what=lambda: f"{terminal.modes}\n{terminal.screen}")


def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(shell: Terminal, tmp_path: Path) -> None:
    with shell as terminal:
        terminal.shows("ready>")
        terminal.type("screen\n")
        terminal.shows("NAME", "a.lua")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        terminal.shows("ended 143", "the same")
        assert_as_it_was(terminal)
        terminal.type("screen\n")
        terminal.shows("NAME", "a.lua")
        pid = int((tmp_path / "pid").read_text())
    until(lambda: not running(pid), what="with its terminal gone it ends")


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_z_suspends_it_and_fg_brings_it_back(shell: Terminal, tmp_path: Path) -> None:
    with shell as terminal:
        terminal.shows("ready>")
        terminal.type("screen\n")
        terminal.shows("NAME", "a.lua")
        terminal.keys(":")
        terminal.type("hist")
        terminal.shows("hist")
        terminal.keys("C-z")  # in a dialog, too
        terminal.shows("Stopped")
        assert_as_it_was(terminal)
        terminal.type("echo $((6 * 7))\n")
        terminal.shows("42")
        terminal.type("fg\n")
        terminal.shows("NAME", "a.lua", "hist")
        terminal.keys("Escape")
        terminal.hides("hist")  # with a key right behind it, it would be alt
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGCONT)  # which changes nothing
        terminal.keys("j", "q")
        until(lambda: not running(pid), what=lambda: terminal.screen)
        assert_as_it_was(terminal)
        terminal.type("clear; stty -a | diff before - && echo the same\n")
        terminal.shows("the same\nready>")


async def test_where_nothing_can_be_suspended_ctrl_z_does_nothing() -> None:
    async with unconnected().run_test() as pilot:
        await pilot.press("ctrl+z", "question_mark")
        await shows(pilot, "Keys and commands here")
