"""The records that come: of one shard, or of all of them, merged by time."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from luasprocs.contract.keys import Keys
from luasprocs.errors import RegistryError
from luasprocs.server.reading import reading
from luasprocs.server.shards import at_once
from luasprocs.state.executions import BATCH_RECORDS, START, Execution, merged, newest_id, order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Positions

BLOCK_MS = 1000
LOOK_EVERY_S = 0.1
"""How often several shards are looked at: one connection can't wait for all of them."""
_RECENT_IDS = 1000


class Tail:
    """The records of one shard behind `last_id`, batch by batch. An error leaves `last_id`: the next `read` goes on from there.

    What was trimmed before it was read is passed over. A stream that started over (deleted, and a clock that went back) is
    noticed by a `read` that finds nothing, and read from its start by the next.
    """

    def __init__(self, registry: Registry, last_id: str = START) -> None:
        self.last_id = last_id
        self._registry = registry
        self._recent: deque[str] = deque([last_id], maxlen=_RECENT_IDS)

    def read(self, count: int = BATCH_RECORDS, block_ms: int | None = None) -> list[Execution]:
        """At most `count` records, the newest last. `block_ms`: how long to wait for the first.

        Raises:
            RegistryError: the key is not a stream.
        """
        key = self._registry.keys.executions
        with reading(Keys.executions, self._registry.keys):
            reply: Any = self._registry.client.xread({key: self.last_id}, count=count, block=block_ms)
            tag = self._registry.keys.tag
            found = [Execution.parse(entry, fields, tag) for _, entries in reply or () for entry, fields in entries]
            if found:
                self.last_id = found[-1].id
                self._recent.extend(one.id for one in found)
            elif self._started_over():
                self.last_id = START
        return found

    def _started_over(self) -> bool:
        newest = newest_id(self._registry)
        # A newest one that was read before is what is left when the last one was deleted.
        return START != newest not in self._recent and order_of(newest) < order_of(self.last_id)


class Tails:
    """The same of every shard: `after` has the last record of each; all of those that it doesn't have.

    An error leaves what was read from the other shards for the next `read`.
    """

    def __init__(self, registry: Registry, after: Positions | None = None) -> None:
        self.registry, self.block_ms = registry, _block_ms(registry)
        self._tails = [Tail(shard, (after or {}).get(shard.keys.tag, START)) for shard in registry.shards]
        self._left: list[list[Execution]] = []

    def read(self, count: int = BATCH_RECORDS, block_ms: int | None = None) -> list[Execution]:
        """At most `count` records of each shard, by time. `block_ms`: how long to wait for the first.

        Raises:
            RegistryError: the key is not a stream.
        """
        if len(self._tails) == 1:
            return self._tails[0].read(count, block_ms)
        end_s = time.monotonic() + (block_ms or 0) / 1000
        while not (found := self._look(count)) and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(LOOK_EVERY_S, left_s))
        return found

    def _look(self, count: int) -> list[Execution]:
        def read(tail: Tail) -> Exception | None:
            try:
                self._left.append(tail.read(count))
            except (RedisError, RegistryError) as error:
                return error
            return None

        failures = at_once(self._tails, read)
        for error in filter(None, failures):
            raise error
        found, self._left = merged(self._left), []
        return found


def _block_ms(registry: Registry) -> int:
    """How long one read may wait: a URL's own timeout may be shorter than BLOCK_MS."""
    timeout_s = registry.client.connection_pool.connection_kwargs.get("socket_timeout")
    return min(BLOCK_MS, max(1, int(timeout_s * 500))) if timeout_s else BLOCK_MS


def follow(tails: Tails, *, idle: Callable[[], None] = lambda: None) -> Iterator[Execution]:
    """The records as they come, without end. `idle` is called whenever none came for a second.

    Raises:
        RegistryError: the key is not a stream. redis.RedisError: the connection failed; follow the same tails again.
    """
    while True:
        batch = tails.read(block_ms=tails.block_ms)
        if not batch:
            idle()
        yield from batch
