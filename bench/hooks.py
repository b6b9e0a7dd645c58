"""What `git push` costs over a bare repository with the receive hooks, and without, on 1,000 sprocs."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.pairs import Result, ratio
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys
from luasprocs.server.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

SPROCS = 1000
PAIRS = 11
AT_MOST = 2.5
"""350 ms where the hooks of commit a42c97c added 550: there they added 3.9 times these imports, measured beside this."""
_EDIT = itertools.count()


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def _repositories(folder: Path) -> Path:
    """A clone whose remotes are `hooked` and `plain`, of the same commit."""
    clone = folder / "clone"
    for number in range(SPROCS):
        path = clone / "sprocs" / f"{number % 10}" / f"s{number}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"-- description=sproc {number}\nreturn redis.call('INCRBY', 'n', {number})\n", encoding="utf-8"
        )
    _git(clone, "init", "-q", "-b", "main")
    for name, value in (("user.name", "b"), ("user.email", "b@b"), ("gc.auto", "0")):
        _git(clone, "config", name, value)
    _git(clone, "add", ".")
    _git(clone, "commit", "-qm", "all")
    for name in ("hooked", "plain"):
        _git(folder, "init", "-q", "--bare", "-b", "main", name)
        _git(folder / name, "config", "receive.autogc", "false")
        _git(clone, "remote", "add", name, str(folder / name))
    return clone


def _push(clone: Path, remote: str) -> float:
    """Milliseconds for the push of one edited sproc."""
    (clone / "sprocs" / "0" / "s0.lua").write_text(f"return {next(_EDIT)}\n", encoding="utf-8")
    _git(clone, "commit", "-qam", "edit")
    started = time.perf_counter()
    _git(clone, "push", "-q", remote, "main")
    return (time.perf_counter() - started) * 1000


def _pushed_live(clone: Path, url: str) -> float:
    took_ms = _push(clone, "hooked")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True).stdout.strip()
    with connect(url) as client:
        assert client.hget(Keys().revision, "commit") == head
    return took_ms


def _added(clone: Path, url: str) -> float:
    """What the hooks add to a push."""
    return _pushed_live(clone, url) - _push(clone, "plain")


def _imports() -> float:
    """What any hook in Python pays that talks to Redis: machines differ by more than two in it."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import click, redis"], check=True)
    return (time.perf_counter() - started) * 1000


def results() -> Iterator[Result]:
    os.environ.pop("LUASPROCS_REDIS", None)
    for kind in kinds():
        with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as name, running(kind) as server:
            clone = _repositories(Path(name))
            hooked = str(Path(name) / "hooked")
            install = [
                sys.executable,
                "-m",
                "sync.cli",
                "--repo",
                hooked,
                "hook",
                "install",
                "receive",
                "--redis",
                server.url,
            ]
            subprocess.run(install, check=True, capture_output=True)
            title = f"git push, {SPROCS} sprocs, with hooks - without / python importing click and redis, {kind} (ms)"
            yield ratio(title, partial(_added, clone, server.url), _imports, PAIRS, at_most=AT_MOST)
