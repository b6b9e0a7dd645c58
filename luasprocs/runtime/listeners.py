"""Which daemons hear a shard's events: a few of the living ones, by rendezvous hashing. The others stand by.

A daemon that comes listens at once. It leaves only when those that are chosen have sent a heartbeat since it wanted to leave, and
number all that has not run yet. So no change of listeners is a gap.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import raw, time_ms
from luasprocs.contract.limits import LEASE_TICKS
from luasprocs.runtime.log import log
from luasprocs.runtime.pace import rest_s
from luasprocs.runtime.wire import packed
from luasprocs.state.daemons import parse_heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering
    from luasprocs.state.daemons import DaemonInfo

LOOK_EVERY_S = 0.5


def chosen(shard: str, daemons: Iterable[str], count: int) -> frozenset[str]:
    """The daemons that are to hear a shard. One that comes or goes takes the place of one other at most."""
    by_weight = sorted(daemons, key=lambda daemon: hashlib.sha256(raw(f"{shard} {daemon}")).digest(), reverse=True)
    return frozenset(by_weight[:count])


class Listeners:
    """Decides whether this daemon hears the shard. `count`: how many daemons do; `changed`: called when `hears` has changed."""

    def __init__(self, link: Link, numbering: Numbering, count: int, changed: Callable[[], None]) -> None:
        self.hears = True
        self._link, self._numbering, self._count, self._changed = link, numbering, count, changed
        self._last_ms: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(rest_s(LOOK_EVERY_S))
            try:
                await self._look()
            except exceptions.ResponseError as error:
                self._link.refused("listeners", "the other daemons' heartbeats can't be read", error)
            else:
                self._link.said.forget("listeners")

    async def _look(self) -> None:
        others = await self._others()
        wanted = chosen(self._link.keys.daemons, (self._link.daemon, *others), self._count)
        if self._link.daemon in wanted:
            self._last_ms.clear()
            self._set(hears=True)
        elif self.hears and await self._may_leave([others[name] for name in wanted]):
            self._set(hears=False)

    def _set(self, *, hears: bool) -> None:
        if hears != self.hears:
            self.hears = hears
            log.info("hears events" if hears else "others hear events")
            self._changed()

    async def _others(self) -> dict[str, DaemonInfo]:
        """The living ones, as the engine judges it."""
        keys = self._link.keys
        beats, now, (tick,) = await self._link.together(
            packed("HGETALL", keys.daemons), packed("TIME"), packed("HMGET", keys.events, "tick")
        )
        if len(beats) // 2 <= self._count:
            return {}
        now_ms, at = time_ms(now), int(tick or 0)
        daemons = parse_heartbeats(dict(zip(beats[::2], beats[1::2], strict=True)))
        living = (one for one in daemons if one.alive(now_ms) or at - one.tick < LEASE_TICKS)
        return {one.id: one for one in living if one.id != self._link.daemon}

    async def _may_leave(self, successors: Collection[DaemonInfo]) -> bool:
        """Whether nothing is lost without this one. A dead daemon seems alive for a lease, but its heartbeat doesn't change."""
        self._last_ms = {one.id: self._last_ms.get(one.id, one.heard_ms) for one in successors}
        if self._numbering.holding or any(one.heard_ms == self._last_ms[one.id] for one in successors):
            return False
        sources = tuple(self._numbering.sources)
        epoch, *marks = await self._link.command("HMGET", self._link.keys.events, "epoch", *sources)
        reached = {
            source.decode("utf-8", "replace"): int(mark.split()[0]) if mark else -1
            for source, mark in zip(sources, marks, strict=True)
        }
        return all(_covers(one, epoch, reached) for one in successors)


def _covers(daemon: DaemonInfo, epoch: bytes | None, reached: dict[str, int]) -> bool:
    """Whether it numbers everything that has not run, by the tick that each source's watermark has reached."""
    return daemon.epoch.encode() == epoch and all(
        source in daemon.covers and daemon.covers[source] <= tick for source, tick in reached.items()
    )
