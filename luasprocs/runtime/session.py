"""One session with a shard: builds the parts, starts their tasks, and routes messages until a connection breaks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.keys import Keys, keys_of
from luasprocs.contract.limits import TICK_MS
from luasprocs.contract.replies import About
from luasprocs.errors import SettingsError
from luasprocs.runtime.binder import Binder
from luasprocs.runtime.canary import Canary
from luasprocs.runtime.cluster_listener import ClusterListener
from luasprocs.runtime.coverage import Coverage
from luasprocs.runtime.deadlines import Deadlines
from luasprocs.runtime.dispatcher import Dispatcher
from luasprocs.runtime.engine import is_own, until_engine
from luasprocs.runtime.forwarder import Forwarder
from luasprocs.runtime.imports import Import
from luasprocs.runtime.jobs import Jobs
from luasprocs.runtime.late import LATE_S, UNKNOWN_S, until_judged
from luasprocs.runtime.link import DemotedError
from luasprocs.runtime.listeners import Listeners
from luasprocs.runtime.log import log
from luasprocs.runtime.master import MasterWatch
from luasprocs.runtime.notifications import Notifications
from luasprocs.runtime.predecessor import Predecessor
from luasprocs.runtime.repeat_report import report
from luasprocs.runtime.scheduler import Scheduler
from luasprocs.runtime.scripts import Scripts
from luasprocs.runtime.source_of_import import be_ready, hear_source
from luasprocs.runtime.ticker import Ticker
from luasprocs.runtime.upkeep import Upkeep
from luasprocs.runtime.watchdog import Watchdog
from luasprocs.state.paused import SCHEDULES_CHANGED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from luasprocs.runtime.bindings import Binding, Bindings
    from luasprocs.runtime.identity import Identity
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Tick
    from luasprocs.runtime.shard_state import ShardState
    from luasprocs.runtime.upkeep import Retention


class Session:
    """`state` outlives the session; `listening` is called again and again once the numbering of all sources is registered.

    `left`: after its end, what the next session may go on from.
    """

    def __init__(
        self, link: Link, state: ShardState, identity: Identity, retention: Retention, listening: Callable[[], None]
    ) -> None:
        numbering = state.numbering
        self._link, self._state, self._identity, self._listening = link, state, identity, listening
        self._numbering = numbering
        self._notifications = Notifications(link, numbering)
        self._deadlines = Deadlines(link)
        self._coverage = Coverage(link, state, self._info, self._hears)
        self._ticker = Ticker(link, numbering, self)
        self._binder = Binder(link, numbering, self)
        self._listeners = Listeners(link, numbering, state.listeners, self._binder.rebind)
        self._dispatcher = Dispatcher(
            link,
            state,
            stale=self._binder.rebind,
            broken=self._ticker.force_soon,
            unregistered=self._coverage.mend,
            pause=state.pause,
        )
        self._forwarder = Forwarder(link)
        self._jobs = Jobs(link, state.workload, self._forwarder.hand_over)
        self._scheduler = Scheduler(link, state, state.pause)
        self._canary = Canary(link, self._notifications, self._deadlines.rescan)
        self._watchdog = Watchdog(link, numbering)
        self._master = MasterWatch(link, state.topology)
        self._upkeep = Upkeep(link, numbering, retention)
        self._scripts = Scripts(link)
        self._last_tick: Tick | None = None
        self.left: Predecessor | None = None

    @property
    def in_flight(self) -> int:
        """Dispatches and runs of schedules without an answer yet."""
        return self._dispatcher.in_flight + self._scheduler.in_flight

    async def start(self) -> None:
        """Sends the first command. Raises redis.RedisError."""
        await self._upkeep.start()

    async def run(self, before: Predecessor | None = None) -> None:
        """Runs until a connection breaks. `before`: what a demoted server has left, to go on from.

        Raises:
            LinkLostError, redis.RedisError: it did.
        """
        link = self._link
        try:
            await until_engine(link)
            await self._binder.learn()
            await self._notifications.start()
            link.events.attach(link.keys, self._numbering, self)
            await link.events.subscribe_control()
            lost = bool(self._numbering.sources) and not (
                before and await before.carried_over(link, self._coverage.renew)
            )
            self._moved(forgets=lost)
            async with link.tasks():
                await self._binder.bind()
                self._dispatcher.start()
                await self._ticker.force(lost=lost)
                for part in (
                    *(self._binder, self._ticker, self._coverage, self._listeners, self._deadlines, self._jobs),
                    *(self._canary, self._watchdog, self._scripts, self._master, self._forwarder),
                ):
                    link.spawn(part.run())
                if isinstance(link.events, ClusterListener):
                    link.spawn(link.events.watch(link.command))
                    link.spawn(be_ready(link, self._state))
                    link.spawn(report(link, self._state.repeats))
                if self._state.schedules:
                    link.spawn(self._scheduler.run())
        except DemotedError:
            if link.keys.tag and self._numbering.sources and link.events.open:  # Sentinels close it
                self.left = Predecessor(link, self._numbering)
            raise
        finally:
            link.close()
            self._dispatcher.close()
            if self.left is None:
                self._numbering.disconnect()

    def _moved(self, *, forgets: bool) -> None:
        """Of another server's events nothing that was numbered counts, unless they were carried over."""
        last, self._state.server = self._state.server, self._link.server.address
        if forgets and last not in {None, self._state.server}:
            self._coverage.start_anew(self._numbering.sources.values())

    async def leave(self) -> None:
        """Reports finished jobs, puts back the others, and ends the lease. Raises redis.RedisError."""
        if await is_own(self._link):
            self._jobs.report_all()
            await self._jobs.put_back_all()
            await self._coverage.leave()

    def _info(self) -> dict[str, Any]:
        """The fields of the heartbeat."""
        counted = {
            "schedules": len(self._scheduler),
            "ignored": self._numbering.ignored,
            "dropped": self._jobs.dropped,
        }
        return {**self._identity.info(), **self._state.info(), **counted, "waits": self._state.waits()}

    # Messages of the event connection (listener.Control).

    def tick(self, tick: Tick) -> None:
        """Numbers start again at each tick."""
        last = self._numbering.now
        if last is not None and (last.epoch != tick.epoch or tick.tick <= last.tick):
            log.warning(
                "a new epoch: the server restarted, failed over or lost its data; events that had not run are a gap"
            )
            self._coverage.start_anew(self._numbering.sources.values())
            self._binder.rebind()
        elif last is not None and last.run_id != tick.run_id:  # what this one has read came from another server
            self._coverage.start_anew(self._numbering.sources.values())
        elif self._last_tick is not None and tick.tick > self._last_tick.tick + 1:
            self.missed()
        self._last_tick = tick
        started = self._numbering.tick(tick)
        if started:
            self._coverage.cover(started)
        if started or tick.forced:
            self._coverage.beat(tick)
            self._dispatcher.flush()
        self._hears()

    def _hears(self) -> None:
        # Another daemon's tick may come before anything is subscribed; an engine comes before the first registry.
        if self._dispatcher.started and self._numbering.registered and self._numbering.bindings.generation:
            self._listening()

    def generation(self) -> None:
        """Reads the triggers of the new generation."""
        self._binder.rebind()

    def wake(self, what: bytes) -> None:
        """`what`: the id of a job, `delayed` for a retry, or SCHEDULES_CHANGED after a pause or resume."""
        if what == SCHEDULES_CHANGED:
            self._scheduler.rebind()
        self._jobs.wake(delayed=what in {b"delayed", SCHEDULES_CHANGED})

    def foreigner(self, channel: bytes) -> None:
        """Learns another registry's secret; then the triggers are read, which lets held events go."""
        self._link.spawn(self._learn(channel))

    def unproven(self) -> bool:
        """Learns the engine's secret, if a session is under way."""
        return self._link.spawn(self._learn_again()) is not None

    def missed(self) -> None:
        """Events may have wrong numbers."""
        log.warning("ticks were missed, so that events had wrong numbers: numbering starts anew")
        self._coverage.start_anew(self._numbering.sources.values())

    async def _learn_again(self) -> None:
        before = self._numbering.proof
        try:
            with contextlib.suppress(exceptions.ResponseError):
                await self._binder.learn()
        finally:
            self._link.events.resume(changed=self._numbering.proof != before)

    async def _learn(self, channel: bytes) -> None:
        proof = ""
        with contextlib.suppress(SettingsError, exceptions.ResponseError):
            function = keys_of(Keys.markers, channel).function("about")
            proof = About.of(await self._link.command("FCALL_RO", function, 0)).proof
        self._numbering.foreign[channel] = proof.encode()
        self._binder.rebind()

    def unclear(self, slots: list[int], from_ms: int) -> None:
        """What may run twice is told."""
        now = self._numbering.now
        self._state.repeats.add(slots, from_ms, now.ms + TICK_MS if now else from_ms)

    async def unknown(self, *, late: bool) -> None:
        """Waits for what other daemons know."""
        await until_judged(self._link, self._numbering.sources, LATE_S if late else UNKNOWN_S)

    def importing(self, slot: int, owner: str, heard: Collection[Binding]) -> Import:
        """Hears the node from which the slot comes, too."""
        found = Import(self._link.command, slot, owner, heard)
        self._link.spawn(hear_source(self._link, self._state, found))
        return found

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Starts a task that ends with the session."""
        return self._link.spawn(work)

    def flush(self) -> None:
        """Sends the events of one read."""
        self._dispatcher.flush()

    # A change of triggers (binder.Rebinding).

    @property
    def hears(self) -> bool:
        """Whether events are heard here."""
        return self._listeners.hears

    async def subscribing(self, bindings: Bindings) -> None:
        """Makes the server publish what new sources need."""
        await self._ensure_published()
        self._deadlines.bind(bindings)

    async def subscribed(self) -> None:
        """Forces a tick: numbering of new sources starts at once."""
        await self._ticker.force()

    def bound(self, bindings: Bindings) -> None:
        """Events, schedules and jobs go on with the new generation."""
        self._dispatcher.rebound()
        self._scheduler.rebind()
        self._scripts.rebind()
        self._state.workload.generation = bindings.generation.encode()

    # With each tick (ticker.Ticks).

    async def answered(self) -> None:
        """Makes the server publish what triggers need, even if somebody changed its settings."""
        await self._ensure_published()

    def engine_back(self) -> None:
        """Reads the triggers again."""
        self._binder.rebind()

    def ticked(self, count: int) -> None:
        """Does upkeep, and says what came from elsewhere."""
        if self._numbering.ignored:
            self._link.say("ignored", "messages on luasprocs' channels did not come from the engine: they are ignored")
        self._upkeep.ticked(count)

    async def _ensure_published(self) -> None:
        if await self._notifications.ensure():
            self._deadlines.rescan()
