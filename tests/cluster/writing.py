"""Writes to a cluster, with a ledger of what its nodes acknowledged."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from redis import RedisError

if TYPE_CHECKING:
    from redis import RedisCluster


class Writing:
    """A thread that sets keys of all shards, each once. `keys`: those that were acknowledged."""

    def __init__(self, client: RedisCluster) -> None:
        self.keys: list[str] = []
        self._client, self._stop = client, threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(0.002):
            key, number = f"x:{{{number}}}", number + 1
            try:
                self._client.set(key, "1")
            except RedisError:
                continue
            self.keys.append(key)
