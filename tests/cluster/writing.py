"""Writes to a cluster, with a ledger of what its nodes acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import RedisError

from tests.background import Background

if TYPE_CHECKING:
    from redis import RedisCluster


class Writing(Background):
    """A thread that sets keys of all shards, each once. `keys`: those that were acknowledged."""

    def __init__(self, client: RedisCluster) -> None:
        self.keys: list[str] = []
        self._client = client
        super().__init__(self._write)

    def _write(self, _: int) -> None:
        number = 0
        while not self.stopping.wait(0.002):
            key, number = f"x:{{{number}}}", number + 1
            try:
                self._client.set(key, "1")
            except RedisError:
                continue
            self.keys.append(key)
