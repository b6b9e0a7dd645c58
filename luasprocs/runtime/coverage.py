"""What a daemon covers: registers where its numbering of each source begins, and sends heartbeats."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.catchup import scan
from luasprocs.runtime.log import log
from luasprocs.runtime.pace import rest_s
from luasprocs.runtime.shard_state import COVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Tick
    from luasprocs.runtime.shard_state import ShardState
    from luasprocs.runtime.source import Segment, Source

MEND_EVERY_S = 0.2
BEAT_EVERY_S = 0.5


class Coverage:
    """The coverage of one session. `info` returns the other fields of the heartbeat; `registered` is called when the server
    knows where the numbering of sources begins.
    """

    def __init__(
        self, link: Link, state: ShardState, info: Callable[[], dict[str, Any]], registered: Callable[[], None]
    ) -> None:
        self._link, self._state, self._info, self._registered = link, state, info, registered
        self._numbering = state.numbering
        self._left_ms: dict[bytes, int] = {}
        self._scans: dict[str, asyncio.Task[None]] = {}
        self._mended = 0.0

    def start_anew(self, sources: Iterable[Source]) -> None:
        """Restarts numbering after a new epoch or a lost watermark: events up to the next segment are a gap."""
        for source in sources:
            began_ms = source.segment.ms if source.segment else 0
            self._left_ms[source.name] = self._left_ms.get(source.name) or source.done_ms or began_ms
            source.reset()

    def cover(self, sources: Iterable[Source]) -> None:
        """Registers where the numbering of sources begins; existing watermarks stay."""
        words: list[Any] = []
        segments: list[tuple[Source, Segment]] = []
        for source in sources:
            if source.segment is not None:
                segments.append((source, source.segment))
                left_ms = self._left_ms.get(source.name) or self._state.came_ms or ""
                words += (source.name, source.segment.tick, source.segment.ms, left_ms)
        if self._numbering.now is not None and words:
            self._link.spawn(self._covered((self._link.daemon, self._numbering.now.epoch, *words), segments))

    async def _covered(self, words: tuple[Any, ...], segments: list[tuple[Source, Segment]]) -> None:
        try:
            reply = await self._link.call("cover", *words)
        except exceptions.ResponseError as error:
            self._link.refused(COVER, "cover was refused", error)
            return
        self._link.said.forget(COVER)
        if reply == b"OK":
            self._state.came_ms = 0
            for source, segment in segments:
                source.registered = segment
                self._left_ms.pop(source.name, None)
            self._registered()

    def mend(self, source: Source) -> None:
        """Handles a source without a watermark. If it was registered, it was dropped and came back: what it had is a gap."""
        if time.monotonic() - self._mended < MEND_EVERY_S:
            return
        self._mended = time.monotonic()
        if source.segment is not None and source.registered is source.segment:
            log.warning("%s lost its watermark: numbering starts anew", source.name.decode("utf-8", "replace"))
            self.start_anew([source])
            self._link.post("tick", 1, 1)
        else:
            self.cover([source])

    async def run(self) -> None:
        """Sends heartbeats at a pace of their own: a backlog of events, or a slow tick, doesn't hold them up."""
        while True:
            await asyncio.sleep(rest_s(BEAT_EVERY_S))
            if self._numbering.now is not None:
                self.beat(self._numbering.now)

    def beat(self, tick: Tick) -> None:
        """Sends the heartbeat, and moves the watermarks of sources without pending events."""
        words: list[Any] = []
        for source in self._numbering.sources.values():
            idle = not (source.flight or source.refused or self._numbering.holding) and (
                not source.pending or source.pending[0].tick >= tick.tick
            )
            if source.segment and idle and source.done[0] < tick.tick:
                start = (source.segment.tick, 0)
                # Nothing after the start of its numbering has run: it may skip a hole before that.
                start_ms = source.segment.ms if source.done <= start else ""
                words += (source.name, *max(source.done, start), tick.tick, tick.ms, start_ms)
        self._link.spawn(self._beaten((self._link.daemon, tick.epoch, self._heartbeat(tick), *words)))

    def _heartbeat(self, tick: Tick) -> str:
        covers = {source.name.decode("utf-8", "replace"): source.covers for source in self._numbering.sources.values()}
        numbered = {name: first for name, first in covers.items() if first is not None}
        return json.dumps(self._info() | {"epoch": tick.epoch, "covers": numbered})

    async def renew(self) -> None:
        """Renews the lease before anything runs, so that nobody takes what is at hand for lost. Raises redis.RedisError."""
        if (now := self._numbering.now) is not None:
            await self._link.call("beat", self._link.daemon, now.epoch, self._heartbeat(now))

    async def _beaten(self, words: tuple[Any, ...]) -> None:
        try:
            reply = await self._link.call("beat", *words)
        except exceptions.ResponseError as error:
            self._link.refused("beat", "beat was refused", error)
            return
        self._link.said.forget("beat")
        if isinstance(reply, list):
            for name in reply[0]:
                self._start_scan(name.decode("utf-8", "surrogateescape"))
            for name in reply[1]:
                if name in self._numbering.sources:
                    self.mend(self._numbering.sources[name])

    async def leave(self) -> None:
        """Sends a last heartbeat and ends the lease. Raises redis.RedisError."""
        if self._numbering.now is not None:
            self.beat(self._numbering.now)
            await asyncio.sleep(0)  # a task sends it: after `leave` it would renew the lease
        await self._link.call("leave", self._link.daemon)

    def _start_scan(self, name: str) -> None:
        running = self._scans.get(name)
        if running is None or running.done():
            task = self._link.spawn(scan(self._link, name))
            if task is not None:
                self._scans[name] = task
