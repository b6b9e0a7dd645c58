"""A daemon that syncs, the command line and the screen, by a Sentinel's URL: they go on by themselves with the next master."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from tests.gitrepo import GitRepo
from tests.soak import SOAK
from tests.sync.service.service import Service, live
from tests.tui.pilot import listed, screen_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sentinels import Sentinels

pytestmark = [pytest.mark.soak, pytest.mark.timeout(120)]


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.commit("first")
    return found


def said(url: str, repo: GitRepo, *command: str) -> Any:
    """What a command prints, as JSON."""
    environ = {"LUASPROCS_REDIS": url, "PATH": os.environ["PATH"], "HOME": str(repo.path)}
    done = subprocess.run(
        [sys.executable, "-m", "sync.cli", *command, "--json"],
        cwd=repo.path, env=environ, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("how", ["order", "stop", *(["kill"] if SOAK else [])])
async def test_a_commit_reaches_the_next_master(sentinels: Sentinels, repo: GitRepo, how: str) -> None:
    client = sentinels.client()
    client.flushall()
    screen = TuiApp(Context("shop", sentinels.url), refresh_s=0.1)
    old = sentinels.master
    try:
        with Service(sentinels.url, repo.path):
            live(client, repo.git("rev-parse", "HEAD"))
            async with screen.run_test(size=(100, 24)) as pilot:
                await listed(pilot)
                getattr(sentinels, how)()
                repo.write("sprocs/b.lua", "return 2\n")
                second = repo.commit("second")
                live(client, second)
                await until(pilot, lambda: "b.lua" in screen_of(pilot), "the second commit's sproc")
            assert sentinels.master is not old
            assert said(sentinels.url, repo, "status")["commit"] == second
    finally:
        client.close()
        if how == "stop":
            os.kill(old.pid, signal.SIGCONT)
        if how == "kill":
            sentinels.revive(old)
        sentinels.until_whole()
