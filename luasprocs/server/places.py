"""In a cluster: the key whose shard runs a sproc that is called without keys, as its header's `at` says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.server.slots import SHARED

if TYPE_CHECKING:
    from redis import RedisCluster
    from redis.asyncio import RedisCluster as AsyncRedisCluster

KEPT_S = 60.0
"""How long what a header said counts: a sproc that runs on another shard meanwhile does the same there."""


def place_of(name: str, at: bytes | None) -> bytes:
    """The key, from a header's `at`."""
    from luasprocs.contract.metadata import EACH  # noqa: PLC0415  # only in a cluster: a client needn't import all keys

    return at if at and at != EACH.encode() else raw(name)


class Places:
    """What headers said, by sproc."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._directory = Keys(namespace, SHARED).shards
        self._found: dict[str, tuple[float, bytes]] = {}

    def known(self, name: str) -> bytes:
        """As far as it is known."""
        until_s, place = self._found.get(name, (0.0, b""))
        return place if time.monotonic() < until_s else raw(name)

    def of(self, name: str, client: RedisCluster) -> bytes:
        """Asks if it isn't known. A user who may not look has all of them by their names."""
        if not self._is_known(name):
            at: Any = None
            try:
                tags: Any = client.hkeys(self._directory)
                at = client.hget(self._key(tags[0], name), "at") if tags else None
            except ResponseError:
                pass
            self._keep(name, at)
        return self.known(name)

    async def async_of(self, name: str, client: AsyncRedisCluster) -> bytes:
        """The same for asyncio."""
        if not self._is_known(name):
            at: Any = None
            try:
                tags: Any = await client.hkeys(self._directory)
                at = await client.hget(self._key(tags[0], name), "at") if tags else None
            except ResponseError:
                pass
            self._keep(name, at)
        return self.known(name)

    def _is_known(self, name: str) -> bool:
        return name in self._found and time.monotonic() < self._found[name][0]

    def _key(self, tag: bytes | str, name: str) -> bytes:
        return raw(Keys(self._namespace, tag if isinstance(tag, str) else tag.decode()).name(name))

    def _keep(self, name: str, at: bytes | str | None) -> None:
        place = place_of(name, raw(at) if isinstance(at, str) else at)
        self._found[name] = (time.monotonic() + KEPT_S, place)


def node_for(client: RedisCluster | AsyncRedisCluster, key: Any, command: object) -> Any:
    """The node that serves a key's slot: for FCALL_RO a replica, if the client reads from them.

    redis-py itself would ask the server by COMMAND GETKEYS where an FCALL goes, each time.
    """
    if command == "FCALL_RO" and (client.read_from_replicas or client.load_balancing_strategy):
        return client.nodes_manager.get_node_from_slot(
            client.keyslot(key), client.read_from_replicas, client.load_balancing_strategy
        )
    return client.get_node_from_key(key)
