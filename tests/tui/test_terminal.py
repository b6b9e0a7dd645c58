"""The whole screen in a real terminal: tmux, keys only, a real daemon and repository. What happened, Redis and git say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, commit_of, generation_of, live, state_of
from tests.tui.terminal import Terminal
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    for name in ("sc1.lua", "sc2.lua", "sc3.lua"):
        found.write(f"sprocs/{name}", resources.files("sprocs").joinpath(name).read_bytes())
    found.write("sprocs/fails.lua", "-- event=set\n-- key=bad*\nlocal none = nil\n\nreturn none.field\n")
    found.commit("first")
    return found


def choose(terminal: Terminal, name: str) -> None:
    """Finds a sproc by the filter."""
    terminal.keys("/")
    terminal.type(name)
    terminal.keys("Enter")
    until(lambda: "sc1.lua" not in terminal.screen or name == "sc1.lua")
    terminal.shows(name)


def unfiltered(terminal: Terminal) -> None:
    terminal.keys("Escape")
    terminal.shows("RUN/S", "sc1.lua", "sc2.lua", "sc3.lua")


def fill(terminal: Terminal, label: str, value: str) -> None:
    """In the form: goes down to a field, empties it, types."""
    terminal.shows("Header of")
    terminal.keys(*["Tab"] * list(METADATA_KEYS).index(label), "C-u", "C-k")
    terminal.type(value)


def editor(folder: Path) -> tuple[str, ...]:
    """The environment of an editor that does what a file says: fails, writes broken Lua, or mends what it wrote before.

    What says its name must not be as long as a path is, for the smallest screen.
    """
    (folder / "editor-does").write_text("fail")
    script = folder / "editor"
    script.write_text(
        f"#!/bin/sh\ncase $(cat {folder}/editor-does) in fail) exit 3 ;; break) echo 'return x x' >\"$1\" ;;\n"
        'mend) grep -q \'x x\' "$1" && echo "return \'mended\'" >"$1" ;; esac\n'
    )
    script.chmod(0o755)
    return f"PATH={folder}:{os.environ['PATH']}", "EDITOR=editor"


def test_a_day_at_the_screen(server, repo, tmp_path, size):  # noqa: PLR0915  # one day is many steps
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    columns, rows = size
    command = ("env", *editor(tmp_path), sys.executable, "-m", "luasprocs_tui", "--redis", server.url)
    with (
        Service(server.url, repo.path) as service,
        Terminal(tmp_path, *command, columns=columns, rows=rows) as terminal,
    ):

        def state() -> str:
            return f"{terminal.screen}\n{service.output}\n{state_of(client)}\n{client.hgetall(KEYS.name('sc2.lua'))}"

        live(client, first)
        terminal.shows("in sync", "sc1.lua", "sc2.lua", "sc3.lua")

        # Find sc2.lua, change its key, see it act on a new key, see the commit.
        choose(terminal, "sc2.lua")
        terminal.keys("e")
        fill(terminal, "key", "nap*")
        terminal.keys("C-s")
        until(lambda: client.hget(KEYS.name("sc2.lua"), "key") == b"nap*", what=state)
        until(lambda: "-- key=nap*" in repo.git("show", "HEAD:sprocs/sc2.lua"), what=state)
        live(client, edited := repo.git("rev-parse", "HEAD"))
        assert repo.git("rev-parse", "HEAD~1") == first
        assert repo.git("status", "--porcelain") == ""
        terminal.shows(edited[:8], "in sync")
        until(lambda: client.set("nap:1", "deep") and client.get("sc2") == b"nap:1=deep", what=state)

        # The same edit with a concurrent one shows the conflict; nothing is done before it is answered.
        terminal.keys("e")
        fill(terminal, "key", "doze*")
        sproc = read_sprocs(Registry(client, KEYS), ["sc2.lua"])[0]
        edit_metadata(Registry(client, KEYS), "sc2.lua", {"timeout": "2s"}, base=sproc.blob, by="Bob <bob@example.com>")
        terminal.keys("C-s")
        terminal.shows("has changed since you opened it", "timeout=2s", "key = doze*")
        assert client.hget(KEYS.name("sc2.lua"), "key") == b"nap*"
        terminal.keys("Tab", "Enter")
        until(lambda: client.hget(KEYS.name("sc2.lua"), "key") == b"doze*", what=state)
        assert client.hget(KEYS.name("sc2.lua"), "timeout") == b"2s"
        until(lambda: "key=doze*" in repo.git("show", "HEAD:sprocs/sc2.lua"), what=state)
        assert "timeout=2s" in repo.git("show", "HEAD:sprocs/sc2.lua")
        live(client, repo.git("rev-parse", "HEAD"))
        unfiltered(terminal)

        # Run sc1.lua, and read its reply.
        choose(terminal, "sc1.lua")
        terminal.keys("R")
        terminal.shows("Run sc1.lua")
        terminal.type("greeting")
        terminal.keys("Enter")
        terminal.shows("sc1.lua replied", "hello world")
        assert client.get("greeting") == b"hello world"
        terminal.keys("Escape")
        unfiltered(terminal)

        # An editor that fails leaves all as it was; what it left broken is there again, until it can be applied.
        choose(terminal, "sc1.lua")
        for says, comes in (("fail", "exit code 3"), ("break", "sc1.lua:1"), ("mend", "edited live")):
            (tmp_path / "editor-does").write_text(says)
            terminal.keys("E")
            terminal.shows(comes, "sc1.lua")
        until(lambda: client.hget(KEYS.name("sc1.lua"), "source") == b"return 'mended'\n", what=state)
        until(lambda: "mended" in repo.git("show", "HEAD:sprocs/sc1.lua"), what=state)
        live(client, repo.git("rev-parse", "HEAD"))
        unfiltered(terminal)

        # Pause sc3.lua: its countdown stops; resume it: it goes on.
        until(lambda: client.ttl(KEYS.cron_prefix + "sc3.lua") > 0, what=state)
        choose(terminal, "sc3.lua")
        terminal.keys("p")
        until(lambda: client.sismember(KEYS.paused, "sc3.lua"), what=state)
        until(lambda: client.ttl(KEYS.cron_prefix + "sc3.lua") == -2, what=state)
        unfiltered(terminal)
        terminal.keys("c")
        terminal.shows("Schedules", "paused")
        terminal.keys("p")
        until(lambda: not client.sismember(KEYS.paused, "sc3.lua"), what=state)
        until(lambda: client.ttl(KEYS.cron_prefix + "sc3.lua") > 0, what=state)
        terminal.hides("paused")
        terminal.keys("Escape")
        terminal.shows("RUN/S", "sc1.lua")

        # Open a failing execution at its source line.
        client.set("bad:1", "x")
        terminal.keys("x")
        terminal.shows("fails.lua", "error")
        terminal.keys("/")  # of it alone: sc3.lua goes on
        terminal.type("fails")
        terminal.keys("Enter")
        terminal.hides("sc3.lua")
        terminal.shows("fails.lua:5:")
        terminal.keys("Enter")
        terminal.shows("Execution", "> 5  return none.field")
        terminal.keys("s")
        terminal.shows("5> return none.field")
        terminal.keys("Escape")
        terminal.hides("5> return none.field")
        terminal.keys("Escape")
        terminal.hides("5  return none.field")
        terminal.keys("Escape")
        terminal.keys("Escape")
        terminal.shows("RUN/S", "sc1.lua")

        # Roll back to the first generation, after its diff was shown.
        generation = generation_of(client)
        terminal.keys("h")
        terminal.shows("History", "4 0 0")
        terminal.keys("G", "b")
        terminal.shows("Roll back to generation 1", "changes 2 sprocs: sc1.lua, sc2.lua")
        assert generation_of(client) == generation
        terminal.keys("Tab", "Enter")
        until(lambda: commit_of(client) == first, what=state)
        assert client.hget(KEYS.name("sc2.lua"), "key") == b"dream*"
        assert client.hget(KEYS.revision, "pinned")
        time.sleep(1.5)
        assert commit_of(client) == first
        terminal.shows("pinned")
        terminal.keys("Escape")
        terminal.shows("RUN/S", "sc1.lua")
        terminal.keys("q")
        until(lambda: _ended(terminal), what=state)


def _ended(terminal: Terminal) -> bool:
    try:
        return not terminal.screen
    except subprocess.CalledProcessError:
        return True
