"""When missed times were due, from their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.codes import Status
from luasprocs.contract.encoding import seconds
from luasprocs.server.shards import each_shard
from luasprocs.state.executions import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.operations.snapshot import Missed
    from luasprocs.server.registry import Registry

BESIDE_MS = 50
"""The record and the time in the stats are of one call."""
RECORDS = 1000
AT_ONCE = 20


class MissedTimes:
    """Looks for the record of each missed stretch once, for a few at a time."""

    def __init__(self) -> None:
        self._known: dict[Missed, int] = {}

    def read(self, registry: Registry, missed: Iterable[Missed]) -> Mapping[str, int]:
        """When the first time of each schedule's last stretch was due (unix milliseconds), as far as a record tells."""
        known = {one: self._known[one] for one in missed if one in self._known}
        new = [one for one in missed if one not in known][:AT_ONCE]
        self._known = known | {one: self._due_ms(registry, one) for one in new}
        return {one.name: due_ms for one, due_ms in self._known.items() if due_ms}

    def _due_ms(self, registry: Registry, one: Missed) -> int:
        each = each_shard(registry, lambda shard: list(_beside(shard, one.at_ms)))
        found = (it for some in each for it in some if it.status == Status.MISSED and it.sproc == one.name)
        return next((round(seconds(it.origin.partition("-")[0]) * 1000) for it in found), 0)


def _beside(shard: Registry, at_ms: int) -> Iterator[Execution]:
    try:
        entries: Any = shard.client.xrange(shard.keys.executions, at_ms - BESIDE_MS, at_ms + BESIDE_MS, count=RECORDS)
    except ResponseError:  # a key of another type, or no right to it
        return
    for entry, fields in entries:
        yield Execution.parse(entry, fields)
