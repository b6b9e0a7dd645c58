"""One session of a daemon with a shard: from connecting until a connection breaks. It only wires the parts together."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.runtime.binder import Binder
from luasprocs.runtime.canary import Canary
from luasprocs.runtime.coverage import Coverage
from luasprocs.runtime.deadlines import Deadlines
from luasprocs.runtime.dispatcher import Dispatcher
from luasprocs.runtime.engine import until_engine
from luasprocs.runtime.jobs import Jobs
from luasprocs.runtime.notifications import Notifications
from luasprocs.runtime.pausing import pause
from luasprocs.runtime.scheduler import Scheduler
from luasprocs.runtime.ticker import Ticker
from luasprocs.runtime.upkeep import Upkeep
from luasprocs.runtime.watchdog import Watchdog
from luasprocs.state.paused import SCHEDULES_CHANGED

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.bindings import Bindings
    from luasprocs.runtime.identity import Identity
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Tick
    from luasprocs.runtime.shard_state import ShardState
    from luasprocs.runtime.upkeep import Retention

log = logging.getLogger("luasprocs.daemon")

BEATS_EVERY = 2
"""Ticks between two heartbeats."""


class Session:
    """Listens and dispatches. `state`: what outlives it; `listening`: called with each tick that is heard by all sources."""

    def __init__(
        self, link: Link, state: ShardState, identity: Identity, retention: Retention, listening: Callable[[], None]
    ) -> None:
        numbering = state.numbering
        self._link, self._state, self._identity, self._listening = link, state, identity, listening
        self._numbering = numbering
        self._notifications = Notifications(link, numbering)
        self._deadlines = Deadlines(link)
        self._coverage = Coverage(link, numbering, self._info)
        self._ticker = Ticker(link, numbering, self)
        self._binder = Binder(link, numbering, self)
        self._dispatcher = Dispatcher(
            link,
            state,
            stale=self._binder.rebind,
            broken=self._ticker.force_soon,
            unregistered=self._coverage.mend,
            pause=partial(pause, link),
        )
        self._jobs = Jobs(link, state.workload)
        self._scheduler = Scheduler(link, state, partial(pause, link))
        self._canary = Canary(link, self._notifications, self._deadlines.rescan)
        self._watchdog = Watchdog(link, numbering)
        self._upkeep = Upkeep(link, numbering, retention)

    @property
    def in_flight(self) -> int:
        """Dispatches and runs of schedules that were asked for and not answered."""
        return self._dispatcher.in_flight + self._scheduler.in_flight

    async def start(self) -> None:
        """The first command. Raises redis.RedisError."""
        await self._upkeep.start()

    async def run(self) -> None:
        """Until a connection breaks.

        Raises:
            LinkLostError, redis.RedisError: it did.
        """
        link = self._link
        try:
            await until_engine(link)
            await self._notifications.start()
            link.events.attach(link.keys, self._numbering, self)
            await link.events.subscribe_control()
            async with link.tasks():
                await self._binder.bind()
                self._dispatcher.start()
                await self._ticker.force()
                for part in (
                    *(self._binder, self._ticker, self._deadlines, self._jobs, self._scheduler),
                    *(self._canary, self._watchdog),
                ):
                    link.spawn(part.run())
        finally:
            link.close()
            self._dispatcher.close()
            self._numbering.disconnect()

    async def leave(self) -> None:
        """Reports what has ended, and gives the lease back. Raises redis.RedisError."""
        self._jobs.report_all()
        await self._coverage.leave()

    def _info(self) -> dict[str, Any]:
        """What the heartbeat says."""
        return {**self._identity.info(), **self._state.info(), "schedules": len(self._scheduler)}

    # What arrives on the event connection.

    def tick(self, tick: Tick) -> None:
        """Numbers begin with it."""
        last = self._numbering.now
        if last is not None and (last.epoch != tick.epoch or tick.tick <= last.tick):
            log.warning("a new epoch: the server restarted, failed over or lost its data; what had not run is a gap")
            self._coverage.start_anew(self._numbering.sources.values())
        started = self._numbering.tick(tick)
        if started:
            self._coverage.cover(started)
        if started or tick.forced:
            self._coverage.beat(tick)
            self._dispatcher.flush()
        # Another daemon's tick may be heard before anything is subscribed to.
        if self._dispatcher.started and self._numbering.numbered:
            self._listening()

    def generation(self) -> None:
        """A new generation was applied."""
        self._binder.rebind()

    def wake(self, what: bytes) -> None:
        """A job's id; or that a retry is to come, or that sprocs were paused or resumed."""
        if what == SCHEDULES_CHANGED:
            self._scheduler.rebind()
        self._jobs.wake(delayed=what in {b"delayed", SCHEDULES_CHANGED})

    def flush(self) -> None:
        """All that was read at once is numbered."""
        self._dispatcher.flush()

    # What happens while triggers are bound.

    async def subscribing(self, bindings: Bindings) -> None:
        """The server publishes what new sources need before they are subscribed."""
        await self._ensure_published()
        self._deadlines.bind(bindings)

    async def subscribed(self) -> None:
        """New sources are numbered from the next tick on."""
        await self._ticker.force()

    def bound(self, bindings: Bindings) -> None:
        """Events, schedules and jobs go on by the new triggers and sources."""
        self._dispatcher.rebound()
        self._scheduler.rebind()
        self._state.workload.generation = bindings.generation.encode()

    # What happens beside each tick.

    async def answered(self) -> None:
        """The server publishes what triggers need, whoever has changed its settings."""
        await self._ensure_published()

    def engine_back(self) -> None:
        """Somebody flushed functions: triggers may be others."""
        self._binder.rebind()

    def ticked(self, count: int) -> None:
        """Upkeep, and a heartbeat."""
        self._upkeep.ticked(count)
        if count % BEATS_EVERY == 0 and self._numbering.now is not None:
            self._coverage.beat(self._numbering.now)

    async def _ensure_published(self) -> None:
        if await self._notifications.ensure():
            self._deadlines.rescan()
