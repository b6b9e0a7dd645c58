"""A cold sync of 10,000 sprocs against the bare work: one cat-file, one compile pass, one pipelined MULTI of the same bytes.

The baseline imports nothing of ours. Beside the times, what a sync costs in round trips and blobs is counted.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from bench.pairs import Result, ratio
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer

if TYPE_CHECKING:
    from collections.abc import Iterator

SPROCS = 10_000
PAIRS = 3
_LINE = "local v{n} = redis.call('GET', KEYS[1] .. ':{n}') or '{n}'\n"
_BARE_ENGINE = """#!lua name=bare_compile
redis.register_function{function_name='bare_compile', flags={'no-writes'}, callback=function(_, args)
  for i = 1, #args do assert(loadstring(args[i])) end
  return #args
end}
"""


def _source(number: int) -> str:
    body = "".join(_LINE.format(n=n) for n in range(16))
    return f"-- description=sproc {number}\n-- tags=bench,load\n-- timeout=5s\n{body}return {number}\n"


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True).stdout


def repository_in(folder: Path) -> None:
    for number in range(SPROCS):
        path = folder / "sprocs" / f"{number % 100:02}" / f"s{number}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_source(number), encoding="utf-8")
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "config", "gc.auto", "0")  # else git packs in the background, while the first pairs are measured
    _git(folder, "config", "user.name", "b")
    _git(folder, "config", "user.email", "b@b")
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "all")


def _bare(folder: Path, port: int) -> float:
    """Seconds for the bare work on an empty server."""
    with Redis(port=port, protocol=2) as client:
        client.flushall()
        client.execute_command("FUNCTION", "FLUSH")
        started = time.perf_counter()
        tree = _git(folder, "ls-tree", "-r", "-z", "HEAD", "--", "sprocs").decode().split("\0")[:-1]
        entries = [(line.split("\t")[1], line.split()[2]) for line in tree]
        asked = "\n".join(blob for _, blob in entries).encode() + b"\n"
        output = subprocess.run(
            ["git", "cat-file", "--batch"], cwd=folder, input=asked, capture_output=True, check=True
        ).stdout
        sources, at = [], 0
        for _ in entries:
            end = output.index(b"\n", at)
            size = int(output[at:end].split()[2])
            sources.append(output[end + 1 : end + 1 + size])
            at = end + 2 + size
        client.execute_command("FUNCTION", "LOAD", "REPLACE", _BARE_ENGINE)
        for start in range(0, SPROCS, 100):
            client.execute_command("FCALL_RO", "bare_compile", 0, *sources[start : start + 100])
        pipe = client.pipeline(transaction=True)
        fields = {
            "sha": "0" * 40,
            "commit": "0" * 40,
            "description": "sproc 12345",
            "tags": "bench,load",
            "timeout": "5s",
        }
        for (path, blob), source in zip(entries, sources, strict=True):
            pipe.hset(f"bare:{path}", mapping={"source": source, "blob": blob, **fields})
        pipe.rpush("bare:list", *(path for path, _ in entries))
        pipe.execute()
        return time.perf_counter() - started


def _ours(folder: Path, port: int) -> float:
    """Seconds from opening the repository to the read-back, on an empty server."""
    url = f"redis://127.0.0.1:{port}/0"
    with connect(url) as client:
        client.flushall()
        client.execute_command("FUNCTION", "FLUSH")
        started = time.perf_counter()
        repository = Repository.open(folder)
        outcome = Syncer(Registry(client, Keys()), repository).sync(read_commit(repository))
        took_s = time.perf_counter() - started
        assert len(outcome.plan.created) == SPROCS
        return took_s


def results() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as name:
        folder = Path(name)
        repository_in(folder)
        for kind in kinds():
            with running(kind) as server:
                ours, bare = partial(_ours, folder, server.port), partial(_bare, folder, server.port)
                yield ratio(f"cold sync of {SPROCS} sprocs / bare work, {kind} (s)", ours, bare, PAIRS, at_most=2.0)
