"""Fetches a source beside all else: a remote that says nothing holds nothing up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from sync.service.apart import apart
from sync.service.backoff import JITTER, Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from sync.service.sources import Source

SLOW_S = 10.0
"""A fetch that takes longer makes what is known degraded; it goes on until its own deadline."""
FIRST_WITHIN_S = 3.0
"""How long the first fetch is waited for: what was mirrored before may be old."""
GIVE_UP_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Fetches:
    """How many fetches have begun and ended; `late`: why what is known may be old, or ""."""

    begun: int = 0
    ended: int = 0
    late: str = ""


class Fetching:
    """One fetch at a time: now and then, and when asked for. `changed`: called after each, and when one takes long."""

    def __init__(self, source: Source, changed: Callable[[], None], interval_s: float) -> None:
        self.seen = Fetches()
        self._source, self._changed, self._interval_s = source, changed, interval_s
        self._asked = asyncio.Event()
        self._first = asyncio.Event()
        self._backoff = Backoff()
        self._under_way: asyncio.Task[str] | None = None

    def ask(self) -> None:
        """Fetches soon, again if a fetch is under way: that one began before. Without a remote there is nothing to fetch."""
        if self._source.remote:
            self._asked.set()
        else:
            self._changed()

    async def first(self) -> None:
        """Waits for the first fetch, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WITHIN_S):
                await self._first.wait()

    async def once(self) -> None:
        """Fetches, however long it takes."""
        self.seen = Fetches(self.seen.begun + 1, self.seen.ended, self.seen.late)
        slow = asyncio.get_running_loop().call_later(SLOW_S, self._slow)
        try:
            self._under_way = asyncio.create_task(apart(self._refresh))
            late = await asyncio.shield(self._under_way)
        finally:
            slow.cancel()
        self.seen = Fetches(self.seen.begun, self.seen.begun, late)
        self._first.set()
        self._changed()

    async def run(self) -> None:
        """Runs until cancelled; then it gives up the fetch under way."""
        if not self._source.remote:
            self._first.set()
            return
        try:
            while True:
                self._asked.clear()
                await self.once()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s()):
                        await self._asked.wait()
        finally:
            while self._under_way is not None and not self._under_way.done():
                self._source.give_up()
                await asyncio.wait((self._under_way,), timeout=GIVE_UP_AGAIN_S)

    def _rest_s(self) -> float:
        rest_s = self._backoff.after("git" if self.seen.late else "") or self._interval_s
        least = 1 - JITTER
        return rest_s * random.uniform(least, 1 if self.seen.late else 1 + JITTER)  # noqa: S311  # no secret

    def _refresh(self) -> str:
        """In a thread. Returns why it failed, or ""."""
        try:
            self._source.refresh()
        except RepositoryError as error:
            return str(error)
        return ""

    def _slow(self) -> None:
        if not self.seen.late:
            late = f"{self._source.name} has not answered for {SLOW_S:.0f} s: what was fetched before is kept live"
            self.seen = Fetches(self.seen.begun, self.seen.ended, late)
            self._changed()
