"""The daemon that syncs: from a moved ref, or a saved file, to what is live; and what it costs at rest."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from bench.event_latency import percentile
from bench.pairs import Result
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPROCS = 10_000
ROUNDS = 15
REST_OVER_S = 60.0
KEYS = Keys()
LUASPROCS = str(Path(sys.executable).with_name("luasprocs"))
_QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=b", "-c", "user.email=b@b", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
    subprocess.run(["git", *named, *words], cwd=folder, check=True, env=os.environ | _QUIET, capture_output=True)


def _repository(folder: Path) -> Path:
    for number in range(SPROCS):
        path = folder / "sprocs" / f"g{number // 100}" / f"s{number}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"-- sproc {number}\n" + "local x = 1\n" * 80 + "return x\n")
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "first")
    _git(folder, "checkout", "-q", "-b", "next")  # the daemon follows main
    return folder


def _generation(client: Redis) -> int:
    found: Any = client.hget(KEYS.revision, "generation")
    return int(found or 0)


def _took_ms(client: Redis, act: Callable[[], None]) -> float:
    """From the end of `act` to the next generation."""
    before = _generation(client)
    act()
    started = time.perf_counter()
    while _generation(client) == before:
        assert time.perf_counter() - started < 30, "it never came"
        time.sleep(0.0005)
    return (time.perf_counter() - started) * 1000


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _follow(kind: str, folder: Path, *, worktree: bool) -> Iterator[Result]:
    path = folder / "sprocs" / "g7" / "s777.lua"
    with running(kind) as server, Redis(port=server.port) as client:
        options = ("--worktree",) if worktree else ("--branch", "main")
        command = [LUASPROCS, "--redis", f"redis://127.0.0.1:{server.port}/0", "daemon", *options]
        daemon = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, env=os.environ | _QUIET)
        try:
            while not _generation(client):
                time.sleep(0.05)
            time.sleep(5)
            took = []
            for number in range(ROUNDS):
                text = f"return {time.time()}\n"
                if worktree:
                    took.append(_took_ms(client, partial(_save, path, text)))
                else:
                    _save(path, text)
                    _git(folder, "commit", "-q", "-a", "-m", str(number), "--no-verify")
                    took.append(_took_ms(client, partial(_git, folder, "update-ref", "refs/heads/main", "HEAD")))
                time.sleep(1.5)
            what, limit = ("a saved file", 250.0) if worktree else ("a ref's move", 150.0)
            value = statistics.median(took)
            pairs = ((value, percentile(took, 0.99)),)
            yield Result(
                f"{what} to live, {SPROCS} sprocs, {kind} (ms; pair: p50/p99)", pairs, value, limit, at_least=False
            )
            if not worktree:
                yield from _at_rest(kind, daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(20)


def _at_rest(kind: str, pid: int) -> Iterator[Result]:
    def cpu_s() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu_s()
    time.sleep(REST_OVER_S)
    used = (cpu_s() - before) / REST_OVER_S * 100
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    held = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    name = f"idle daemon that follows {SPROCS} sprocs"
    yield Result(f"{name}: CPU of a core, {kind} (%)", ((used, 1.0),), used, 1.0, at_least=False)
    yield Result(f"{name}: resident memory, {kind} (MB)", ((held, 100.0),), held, 100.0, at_least=False)


def results() -> Iterator[Result]:
    for kind in kinds():
        for worktree in (False, True):
            with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as folder:
                yield from _follow(kind, _repository(Path(folder)), worktree=worktree)
