"""The marks of schedules in a cluster: each stands in the slot of its `at`, see marks.lua."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import AskError, MovedError, TryAgainError

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.contract.metadata import EACH
from luasprocs.server.places import place_of
from luasprocs.server.slots import tag_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.server.registry import Registry

Mark = tuple[str, str]
"""The name and the `at` of a schedule ("": its name) that has a mark of its own."""


def marks_of(each: Iterable[tuple[str, Mapping[str, str]]]) -> set[Mark]:
    """Those of schedules, by their names and headers. One with at=each has a field of `Scheduled` on each shard instead."""
    return {(name, values.get("at", "")) for name, values in each if values.get("at") != EACH}


def mark_key(namespace: str, name: str, at: str = "") -> bytes:
    """The key that holds it."""
    return b"{%s}:%s%s" % (tag_beside(place_of(name, raw(at))), raw(Keys(namespace).mark_prefix), raw(name))


def forget_marks(shard: Registry, marks: Iterable[Mark]) -> None:
    """Deletes those that are on this shard, so that the schedules begin anew. Raises redis.RedisError."""
    pipe = shard.client.pipeline(transaction=False)
    for name, at in marks:
        pipe.delete(mark_key(shard.keys.namespace, name, at))
    for reply in pipe.execute(raise_on_error=False):
        if isinstance(reply, Exception) and not isinstance(reply, (MovedError, AskError, TryAgainError)):
            raise reply
