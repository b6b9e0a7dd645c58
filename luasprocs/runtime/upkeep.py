"""Upkeep of a registry: moves counts of direct calls to the stats, and limits the records of executions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.limits import EXECUTIONS_LIMIT
from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_full

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering

FLUSH_EVERY = 20
TRIM_EVERY = 240
"""In ticks."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many records of executions are kept. `limit`: about so many; `age_ms`: their greatest age, 0 for any."""

    limit: int = EXECUTIONS_LIMIT
    age_ms: int = 0


class Upkeep:
    """Done by every daemon, with its ticks."""

    def __init__(self, link: Link, numbering: Numbering, retention: Retention) -> None:
        self._link, self._numbering, self._retention = link, numbering, retention
        self._told = False

    async def start(self) -> None:
        """Tells the engine how many records to keep; later if the server is full. Raises redis.RedisError."""
        try:
            await self._link.command("HSET", self._link.keys.events, "limit", self._retention.limit)
            self._told = True
        except exceptions.ResponseError as error:
            if not is_full(error):
                raise

    def ticked(self, count: int) -> None:
        """Does what is due after `count` ticks."""
        if count % FLUSH_EVERY == 0:
            self._link.post("flush")
            if not self._told:
                self._link.spawn(self.start())
        now, age_ms = self._numbering.now, self._retention.age_ms
        if count % TRIM_EVERY == 1 and age_ms and now is not None:
            oldest = max(0, now.ms - age_ms)
            self._link.send(packed("XTRIM", self._link.keys.executions, "MINID", "~", oldest), lambda _: None)
