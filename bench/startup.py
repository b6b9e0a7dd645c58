"""What a command costs over `python -c pass`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.pairs import Result, difference
from bench.servers import running

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 9
SPROC = "-- description=adds one\nreturn redis.call('INCR', KEYS[1] or 'n')\n"


def _timed(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (time.perf_counter() - started) * 1000


def results() -> Iterator[Result]:
    luasprocs = str(Path(sys.executable).with_name("luasprocs"))
    with tempfile.TemporaryDirectory() as name, running("valkey") as server:
        folder = Path(name)
        (folder / "sprocs").mkdir()
        (folder / "sprocs" / "one.lua").write_text(SPROC, encoding="utf-8")
        for words in (
            ["init", "-q", "-b", "main"],
            ["config", "user.name", "b"],
            ["config", "user.email", "b@b"],
            ["add", "."],
        ):
            subprocess.run(["git", *words], cwd=folder, check=True)
        os.environ["LUASPROCS_REDIS"] = server.url
        subprocess.run(["git", "commit", "-qm", "one"], cwd=folder, check=True)
        subprocess.run([luasprocs, "sync"], cwd=folder, check=True, capture_output=True)
        for words, at_most in (
            (["check", "sprocs/one.lua"], 150),
            (["check", "--staged"], 300),
            (["execute", "one.lua"], 400),
        ):
            ours = partial(_timed, [luasprocs, *words], folder)
            python = partial(_timed, [sys.executable, "-c", "pass"], folder)
            title = f"luasprocs {' '.join(words)} - python -c pass (ms)"
            yield difference(title, ours, python, PAIRS, at_most=at_most)
        del os.environ["LUASPROCS_REDIS"]
