"""What the panels show of a sproc, read again and again: each time one round trip to each shard, and no more than is new.

As long as its last runs aren't found, some pages of older records are read beside that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.registry.history import Generation, read_history
from luasprocs.registry.sproc_hash import sproc_of
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.reading import reading
from luasprocs.server.shards import each_shard
from luasprocs.state.executions import Execution, merged, order_of
from luasprocs.state.stats import Stats
from luasprocs_tui.values.about import RUNS_SHOWN, About

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.server.registry import Registry


LOOKED_AT = 300
"""So many of the newest records of all sprocs are searched for those of one, then so many of each page of older ones."""
PAGES, PAGES_A_READ = 60, 3
"""So many pages are looked at in all, and each time."""
SLACK_MS = 2000
"""The last run is known to the second, and counted a moment after its record was written."""


class _Read(NamedTuple):
    """Of one shard. `runs`: records of the sproc, the newest last; `last_id`: of the newest record of any, "" for none.

    `first_id`: of the oldest that was looked at, "" if there is none before it.
    """

    stored: Mapping[bytes, bytes]
    stats: Mapping[bytes, bytes]
    runs: list[Execution]
    last_id: str
    first_id: str


class AboutReader:
    """For one thread."""

    def __init__(self) -> None:
        self._generations: tuple[int, Sequence[Generation]] = (0, ())
        self._of: tuple[Registry, str] | None = None
        self._last_ids: dict[str, str] = {}
        self._runs: list[Execution] = []
        self._before: dict[str, str] = {}
        self._pages = 0
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
            self._before, self._pages = {}, 0
        each = each_shard(registry, lambda shard: self._read(shard, name))
        stats = Stats.of_all([one.stats for one in each])
        for shard, one in zip(registry.shards, each, strict=True):
            if shard.keys.tag not in self._last_ids and one.first_id:
                self._before[shard.keys.tag] = _first_page(one.first_id, stats.last_run_s)
            self._last_ids[shard.keys.tag] = one.last_id
        self._runs = [*self._runs, *merged(one.runs for one in each)][-RUNS_SHOWN:]
        if each[0].stored != self._stored or (self._sproc and self._sproc.name != name):
            self._stored = each[0].stored
            self._sproc = sproc_of(name, self._stored) if self._stored else None
        if stats.runs:
            self._look_back(registry, name)
        made = (one for one in self._generations[1] if name in one.created or name in one.updated)
        runs, looked_at = tuple(reversed(self._runs)), LOOKED_AT * len(registry.shards) * (1 + self._pages)
        return About(name, self._sproc, stats, runs, next(made, None), looked_at, self._searches)

    @property
    def _searches(self) -> bool:
        return len(self._runs) < RUNS_SHOWN and self._pages < PAGES and any(self._before.values())

    def _look_back(self, registry: Registry, name: str) -> None:
        """Some pages of each shard, until there are as many runs as are shown."""
        for _ in range(PAGES_A_READ):
            if not self._searches:
                return
            self._pages += 1
            older = merged(each_shard(registry, lambda shard: self._page(shard, name)))
            self._runs = merged([older, self._runs])[-RUNS_SHOWN:]

    def _page(self, shard: Registry, name: str) -> list[Execution]:
        """The sproc's own of the next page of older records, the newest last."""
        keys, before = shard.keys, self._before.get(shard.keys.tag, "")
        if not before:
            return []
        with reading(Keys.executions, keys):
            entries: Any = shard.client.xrevrange(keys.executions, max=f"({before}", count=LOOKED_AT)
        self._before[keys.tag] = _oldest(entries)
        return _own(entries, name, keys.tag)

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
        found = _own(entries, name, keys.tag)
        return _Read(stored, stats, found, text(entries[0][0]) if entries else last_id, _oldest(entries))


def _own(entries: Sequence[Any], name: str, tag: str) -> list[Execution]:
    return [Execution.parse(entry, fields, tag) for entry, fields in entries[::-1] if _is_of(fields, name)]


def _oldest(entries: Sequence[Any]) -> str:
    return text(entries[-1][0]) if len(entries) == LOOKED_AT else ""


def _first_page(first_id: str, last_run_s: int) -> str:
    """Where older records are searched from: nothing of it is newer than its last run."""
    since_ms = (last_run_s + 1) * 1000 + SLACK_MS
    return min(first_id, f"{since_ms}-0", key=order_of)


def _there(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _is_of(fields: Mapping[bytes, bytes] | None, name: str) -> bool:
    return bool(fields) and text((fields or {}).get(b"sproc", b"")) == name
