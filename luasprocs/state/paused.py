"""The paused sprocs: an operator's state in Redis, in no commit, which survives syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.server.errors import is_wrong_type

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


SCHEDULES_CHANGED = b"schedules"
"""What daemons hear on the channel of wakes."""


def read_paused(registry: Registry) -> frozenset[str]:
    """The paused sprocs; none where the key is no set, as the engine sees it."""
    try:
        found: Any = registry.client.smembers(registry.keys.paused)
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        return frozenset()
    return frozenset(map(text, found))


def pausing(keys: Keys, name: bytes) -> tuple[tuple[bytes | str, ...], ...]:
    """The commands that pause a sproc."""
    return ("SADD", keys.paused, name), *unscheduling(keys, name), ("PUBLISH", keys.wakes, SCHEDULES_CHANGED)


def unscheduling(keys: Keys, name: bytes) -> tuple[tuple[bytes | str, ...], ...]:
    """Its countdown goes; resumed it goes on with the next time after that, and none in between is missed."""
    return ("DEL", raw(keys.cron_prefix) + name), ("HDEL", keys.scheduled, name)
