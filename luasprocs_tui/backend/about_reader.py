"""What the panels show of a sproc, read again and again: each time one round trip to each shard, and no more than is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.registry.history import Generation, read_history
from luasprocs.registry.sproc_hash import sproc_of
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.reading import reading
from luasprocs.server.shards import each_shard
from luasprocs.state.executions import Execution, merged
from luasprocs.state.stats import Stats
from luasprocs_tui.values.about import LOOKED_AT, RUNS_SHOWN, About

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.server.registry import Registry


class _Read(NamedTuple):
    """Of one shard. `runs`: records of the sproc, the newest last; `last_id`: of the newest record of any, "" for none."""

    stored: Mapping[bytes, bytes]
    stats: Mapping[bytes, bytes]
    runs: list[Execution]
    last_id: str


class AboutReader:
    """For one thread."""

    def __init__(self) -> None:
        self._generations: tuple[int, Sequence[Generation]] = (0, ())
        self._of: tuple[Registry, str] | None = None
        self._last_ids: dict[str, str] = {}
        self._runs: list[Execution] = []
        self._stored: Mapping[bytes, bytes] = {}
        self._sproc: Sproc | None = None

    def read(self, registry: Registry, name: str, generation: int) -> About:
        """A sproc, while `generation` is live.

        Raises:
            RegistryError: a key of it, or of the records, was overwritten. redis.RedisError: the server can't be read.
        """
        if generation != self._generations[0]:
            self._generations = generation, read_history(registry)
        if self._of != (registry, name):
            self._of, self._last_ids, self._runs = (registry, name), {}, []
        each = each_shard(registry, lambda shard: self._read(shard, name))
        for shard, one in zip(registry.shards, each, strict=True):
            self._last_ids[shard.keys.tag] = one.last_id
        self._runs = [*self._runs, *merged(one.runs for one in each)][-RUNS_SHOWN:]
        if each[0].stored != self._stored or (self._sproc and self._sproc.name != name):
            self._stored = each[0].stored
            self._sproc = sproc_of(name, self._stored) if self._stored else None
        made = (one for one in self._generations[1] if name in one.created or name in one.updated)
        stats = Stats.of_all([one.stats for one in each])
        return About(name, self._sproc, stats, tuple(reversed(self._runs)), next(made, None))

    def _read(self, shard: Registry, name: str) -> _Read:
        keys, last_id = shard.keys, self._last_ids.get(shard.keys.tag, "")
        pipe: Any = shard.client.pipeline(transaction=False)
        pipe.hgetall(raw(keys.name(name)))
        pipe.hgetall(raw(keys.stats(name)))
        pipe.xrevrange(keys.executions, min=f"({last_id}" if last_id else "-", count=LOOKED_AT)
        stored, stats, entries = pipe.execute(raise_on_error=False)
        stored = {} if is_wrong_type(stored) else _there(stored)
        with reading(Keys.stats_prefix, keys, name):
            stats = _there(stats)
        with reading(Keys.executions, keys):
            entries = _there(entries)
        found = [Execution.parse(entry, fields, keys.tag) for entry, fields in entries if _is_of(fields, name)]
        return _Read(stored, stats, found[::-1], text(entries[0][0]) if entries else last_id)


def _there(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _is_of(fields: Mapping[bytes, bytes] | None, name: str) -> bool:
    return bool(fields) and text((fields or {}).get(b"sproc", b"")) == name
