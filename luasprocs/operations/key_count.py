"""How many keys of a server a glob matches, by a look that keeps it from nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import raw

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry

SCAN_COUNT = 1000
"""Keys that one SCAN looks at: well below a millisecond of the server's time."""


class KeyCount(NamedTuple):
    """`found` of `seen` keys match; `whole`: all were looked at; `total`: how many there are."""

    found: int
    seen: int
    total: int
    whole: bool

    @property
    def estimate(self) -> int:
        """How many of all match: a SCAN goes through them in no order of their names."""
        return self.found if self.whole else round(self.found * max(self.total, self.seen) / max(1, self.seen))


def count_keys(registry: Registry, glob: str, limit: int, *, within_s: float = float("inf")) -> KeyCount:
    """Looks at `limit` keys or a little more, over all shards, and for `within_s` at most; sleeps as long as each SCAN took.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    shards, until_s = registry.shards, time.monotonic() + within_s
    each = [_count(shard, glob, limit // len(shards), until_s) for shard in shards]
    found, seen, total = (sum(one[place] for one in each) for place in range(3))
    return KeyCount(found, seen, total, all(one.whole for one in each))


def _count(shard: Registry, glob: str, limit: int, until_s: float) -> KeyCount:
    size: Any = shard.client.dbsize()
    cursor = found = seen = 0
    while seen < limit and (not seen or time.monotonic() < until_s):
        began_s = time.monotonic()
        reply: Any = shard.client.scan(cursor, match=raw(glob), count=SCAN_COUNT)
        cursor, some = reply
        found, seen = found + len(some), seen + SCAN_COUNT
        if not cursor:
            return KeyCount(found, size, size, True)
        time.sleep(min(0.05, time.monotonic() - began_s))
    return KeyCount(found, min(seen, size), size, False)
