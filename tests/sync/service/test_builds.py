"""Daemons of two builds whose engines differ and say that they are of one VERSION: they don't replace each other's for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import luasprocs
import sync
from luasprocs.contract.codes import FindingCode
from luasprocs.contract.keys import Keys
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from sync.service.repairs import LIMIT
from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.until import until

pytestmark = pytest.mark.timeout(120)
KEYS = Keys()
COMMAND = ("daemon",)


def other_build(folder: Path) -> Path:
    """A copy of this luasprocs with another text of the engine."""
    for package in (luasprocs, sync):
        place = Path(str(package.__file__)).parent
        shutil.copytree(place, folder / place.name, ignore=shutil.ignore_patterns("__pycache__"))
    chunk = folder / "luasprocs" / "engine" / "prelude.lua"
    chunk.write_text(
        chunk.read_text(encoding="utf-8").replace("local prelude = {}", "local prelude, _ = {}, 1"), encoding="utf-8"
    )
    return folder


def test_two_builds_of_one_version_stop_after_some_turns(server, tmp_path):
    client = server.client()
    registry = Registry(client, KEYS)
    repo = GitRepo(tmp_path / "repo")
    repo.write("sprocs/a.lua", "return 1\n")
    repo.commit()
    often = {"LUASPROCS_INTERVAL": "1s"}
    elsewhere = {**often, "PYTHONPATH": str(other_build(tmp_path / "build"))}
    said = "has replaced the engine"
    with DaemonProcess(server.url, command=COMMAND, cwd=repo.path, environ=often) as one:
        until(lambda: read_live(registry).revision.generation == 1)
        with DaemonProcess(server.url, command=COMMAND, cwd=repo.path, environ=elsewhere, forked=False) as other:
            until(lambda: said in one.output or said in other.output)
            gave_up, goes_on, build = (one, other, elsewhere) if said in one.output else (other, one, often)
            assert client.execute_command("FCALL", KEYS.function("execute"), 0, "a.lua") == 1
            for viewer in (often, elsewhere):
                assert FindingCode.ENGINE_DIFFERS in codes(server.url, viewer)
            for daemon in (one, other):
                assert daemon.output.count("synced:") <= LIMIT + 1
            goes_on.stop()
            goes_on.start()
            time.sleep(2.5)  # it has looked, and so has the other
            assert FindingCode.ENGINE_DIFFERS in codes(server.url, build), (
                "for whoever has the build whose engine is loaded"
            )
            live = read_live(registry)
            gave_up.stop()
            until(lambda: FindingCode.ENGINE_DIFFERS not in codes(server.url, build))
    assert live.revision.generation == client.xlen(KEYS.history) == 1
    assert [*live.sprocs] == ["a.lua"]


def codes(url: str, environ: dict[str, str]) -> list[str]:
    """The findings, as that build's `status` has them."""
    command = [sys.executable, "-m", "sync.cli", "--redis", url, "status", "--json"]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, check=False, cwd="/")
    return [one["code"] for one in json.loads(done.stdout)["findings"]]
