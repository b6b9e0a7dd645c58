"""What is paused in a cluster is paused on a shard that has just come, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.registry.orphans import orphan_of, read_left
from luasprocs.server.fleet import read_shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.server.registry import Registry


def share_pauses(registry: Registry, fresh: Sequence[Registry]) -> None:
    """Pauses on shards that have no sprocs yet what is paused on the others, and on those that were before.

    Raises:
        redis.RedisError: a shard can't be reached.
    """
    if not fresh:
        return
    gone = read_shards(registry.home).keys() - {shard.keys.tag for shard in registry.shards}
    others = [shard for shard in registry.shards if shard not in fresh] + [orphan_of(registry, tag) for tag in gone]
    paused = {name for shard in others for name in read_left(shard, "SMEMBERS", shard.keys.paused)}
    known = {name: by for shard in others for name, by in dict(read_left(shard, "HGETALL", shard.keys.pauses)).items()}
    for shard in fresh if paused else ():
        shard.client.sadd(shard.keys.paused, *paused)
        if known:
            shard.client.hset(shard.keys.pauses, mapping=known)
