"""In a cluster: the marks of the schedules that a change begins or ends. On a single server they are fields that it removes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from luasprocs.contract.encoding import raw, text
from luasprocs.language.triggers import is_scheduled
from luasprocs.server.marks import forget_marks, marks_of
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from luasprocs.registry.live import Live
    from luasprocs.registry.transaction import Change
    from luasprocs.server.marks import Mark
    from luasprocs.server.registry import Registry

_FIELDS = ("at", "enabled", "cron", "every")


@contextlib.contextmanager
def schedules_that_change(registry: Registry, live: Live, change: Change) -> Iterator[None]:
    """Around the change: the mark of a schedule that comes is none from before, even if the one that ended it had died
    before it removed the mark; the mark of one that ends goes.

    Raises:
        redis.RedisError: a shard can't be reached.
    """
    touched = [name for name in (*(sproc.name for sproc in change.put), *change.deleted) if name in live.sprocs]
    ends = _live_marks(registry, touched)
    begins = marks_of((sproc.name, sproc.values) for sproc in change.put if sproc.scheduled)
    _forget(registry, begins - ends)
    yield
    _forget(registry, ends - begins)


def _live_marks(registry: Registry, names: Iterable[str]) -> set[Mark]:
    pipe = registry.client.pipeline(transaction=False)
    for name in (wanted := list(names)):
        pipe.hmget(raw(registry.keys.name(name)), _FIELDS)
    replies = pipe.execute(raise_on_error=False)
    found = ((name, _values(reply)) for name, reply in zip(wanted, replies, strict=True) if isinstance(reply, list))
    return marks_of((name, values) for name, values in found if is_scheduled(values))


def _values(reply: list[bytes | None]) -> dict[str, str]:
    return {name: text(value) for name, value in zip(_FIELDS, reply, strict=True) if value is not None}


def _forget(registry: Registry, marks: set[Mark]) -> None:
    if marks:
        each_shard(registry, lambda shard: forget_marks(shard, marks))
