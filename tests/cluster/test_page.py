"""docs/cluster.md from nothing to three shards, as it stands."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import redis

from luasprocs.server.valkey_binary import find_binary
from tests.clusters import free_port
from tests.paths import ROOT
from tests.reader import Reader, shell_blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
PORTS = ("7101", "7102", "7103")


def test_the_shell_blocks_run_in_order(tmp_path: Path) -> None:
    """Valkey, unlike Redis, may not be up yet when it has gone into the background."""
    _, start, *others, stop = shell_blocks(PAGE)
    typed = {port: str(free_port()) for port in PORTS}
    reader = Reader(tmp_path, typed, {"redis-server": str(find_binary())})
    try:
        for block in (start, *others, stop):
            reader.type(block)
        said = reader.printed
    finally:
        reader.stop()
        for port in typed.values():
            with contextlib.suppress(redis.RedisError), redis.Redis(port=int(port)) as client:
                client.shutdown(nosave=True)
    after = said.split("every event up to now has run")[1].splitlines()
    assert after[1:7] == ["1"] * 6, said
