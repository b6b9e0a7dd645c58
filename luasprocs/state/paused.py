"""The paused sprocs: an operator's state in Redis, in no commit, which survives syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import number, raw, text
from luasprocs.contract.keys import Keys
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.server.registry import Registry


SCHEDULES_CHANGED = b"schedules"
"""What daemons hear on the channel of wakes."""


class Pause(NamedTuple):
    """A paused sproc. `since_ms`: unix milliseconds, 0 if nobody knows; `by`: who did it, or ""."""

    name: str
    since_ms: int = 0
    by: str = ""


def read_paused(registry: Registry) -> frozenset[str]:
    """The sprocs that are paused, on any shard; none where the key is no set, as the engine sees it."""
    return frozenset().union(*each_shard(registry, _read))


def _read(shard: Registry) -> frozenset[str]:
    try:
        found: Any = shard.client.smembers(shard.keys.paused)
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        return frozenset()
    return frozenset(map(text, found))


def parse_pauses(paused: Any, pauses: Any) -> tuple[Pause, ...]:
    """From the set and the hash, by name; of what was paused by hand nobody knows by whom."""
    known = {text(name): text(value).partition(" ") for name, value in pauses.items()}
    return tuple(
        Pause(name, number(known[name][0]), known[name][2]) if name in known else Pause(name)
        for name in sorted(map(text, paused))
    )


def merged_pauses(each: Iterable[Iterable[Pause]]) -> tuple[Pause, ...]:
    """Those of several shards, by name; of each the one that is known best."""
    found: dict[str, Pause] = {}
    for one in (one for some in each for one in some):
        if one.name not in found or not found[one.name].since_ms:
            found[one.name] = one
    return tuple(found[name] for name in sorted(found))


def pausing(keys: Keys, name: bytes, at_ms: int, by: str) -> tuple[tuple[bytes | str, ...], ...]:
    """The commands that pause a sproc."""
    return ("HSET", keys.pauses, name, f"{at_ms} {by}"), ("SADD", keys.paused, name), *unscheduling(keys, name)


def resuming(keys: Keys, name: bytes) -> tuple[tuple[bytes | str, ...], ...]:
    """The commands that resume one."""
    return ("HDEL", keys.pauses, name), ("SREM", keys.paused, name)


def unscheduling(keys: Keys, name: bytes) -> tuple[tuple[bytes | str, ...], ...]:
    """Its countdown goes; resumed it goes on with the next time after that, and none in between is missed."""
    return ("DEL", raw(keys.cron_prefix) + name), ("HDEL", keys.scheduled, name)
