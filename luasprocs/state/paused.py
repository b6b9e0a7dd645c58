"""Pauses and resumes sprocs: an operator's state in Redis, in no commit, which survives syncs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.errors import NoSprocError
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.reading import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.server.registry import Registry


SCHEDULES_CHANGED = b"schedules"
"""What daemons hear on the channel of wakes."""


@dataclass(frozen=True, slots=True)
class Paused:
    """What a pause or a resume did: names that it changed, and names that were so already."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def pause(registry: Registry, names: Sequence[str]) -> Paused:
    """Stops the triggers of sprocs; direct calls go on.

    Raises:
        NoSprocError: one of the names is not live; nothing is changed.
    """
    return _set(registry, names, paused=True)


def resume(registry: Registry, names: Sequence[str]) -> Paused:
    """Starts them again. A sproc that was deleted while it was paused can be resumed, too: that forgets it.

    Raises:
        NoSprocError: one of the names is neither live nor paused; nothing is changed.
    """
    return _set(registry, names, paused=False)


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
    return ("SADD", keys.paused, name), *_unscheduling(keys, name), ("PUBLISH", keys.wakes, SCHEDULES_CHANGED)


def _unscheduling(keys: Keys, name: bytes) -> tuple[tuple[bytes | str, ...], ...]:
    """Its countdown goes; resumed it goes on with the next time after that, and none in between is missed."""
    return ("DEL", raw(keys.cron_prefix) + name), ("HDEL", keys.scheduled, name)


def _set(registry: Registry, names: Sequence[str], *, paused: bool) -> Paused:
    wanted = tuple(dict.fromkeys(names))
    before = read_paused(registry)
    pipe = registry.client.pipeline(transaction=False)
    for name in wanted:
        pipe.exists(raw(registry.keys.name(name)))
    known = dict(zip(wanted, pipe.execute(), strict=True))
    missing = [name for name in wanted if not known[name] and (paused or name not in before)]
    if missing:
        raise NoSprocError(f"no sproc named {', '.join(map(repr, missing))} is live: see luasprocs list")
    pipe = registry.client.pipeline(transaction=True)
    for name in wanted:
        (pipe.sadd if paused else pipe.srem)(registry.keys.paused, raw(name))
    for name in wanted if paused else ():
        for words in _unscheduling(registry.keys, raw(name)):
            pipe.execute_command(*words)
    pipe.publish(registry.keys.wakes, SCHEDULES_CHANGED)
    with reading(Keys.paused, registry.keys):
        changed = dict(zip(wanted, pipe.execute(), strict=False))
    return Paused(
        changed=tuple(name for name in wanted if changed[name]),
        unchanged=tuple(name for name in wanted if not changed[name]),
    )
