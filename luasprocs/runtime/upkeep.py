"""Upkeep of a registry: counted direct calls go to the stats, records that are too many or too old go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.runtime.wire import packed

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering

FLUSH_EVERY = 20
TRIM_EVERY = 240
"""Ticks between two rounds."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which records of executions are kept. `limit`: about how many; `age_ms`: how old they may be, 0 for any age."""

    limit: int = 10_000
    age_ms: int = 0


class Upkeep:
    """One session's."""

    def __init__(self, link: Link, numbering: Numbering, retention: Retention) -> None:
        self._link, self._numbering, self._retention = link, numbering, retention

    async def start(self) -> None:
        """Tells the engine how many records to keep. Raises redis.RedisError."""
        await self._link.command("HSET", self._link.keys.events, "limit", self._retention.limit)

    def ticked(self, count: int) -> None:
        """The daemon has asked for `count` ticks: now and then there is something to do."""
        if count % FLUSH_EVERY == 0:
            self._link.post("flush")
        now, age_ms = self._numbering.now, self._retention.age_ms
        if count % TRIM_EVERY == 1 and age_ms and now is not None:
            oldest = max(0, now.ms - age_ms)
            self._link.send(packed("XTRIM", self._link.keys.executions, "MINID", "~", oldest), lambda _: None)
