"""One pair of connections to a server: from connecting until one of them breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.limits import TICK_MS
from luasprocs.runtime.bindings import parse_bindings
from luasprocs.runtime.canary import Canary
from luasprocs.runtime.coverage import Coverage
from luasprocs.runtime.deadlines import Deadlines
from luasprocs.runtime.engine import ENGINE_POLL_S, until_engine
from luasprocs.runtime.listener import Listener
from luasprocs.runtime.notifications import Notifications
from luasprocs.runtime.watchdog import Watchdog
from luasprocs.runtime.wire import Wire, connect, packed
from luasprocs.server.errors import is_no_function
from luasprocs.state.paused import SCHEDULES_CHANGED

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from luasprocs.runtime.daemon import Daemon
    from luasprocs.runtime.numbering import Tick

log = logging.getLogger("luasprocs.daemon")

BEATS_EVERY = 2
"""Ticks between two heartbeats."""
TICKS_UNHEARD = 8
"""So many ticks may be missing on the event connection before it counts as broken."""
HUNG_S = 5.0
FLUSH_EVERY = 20
TRIM_EVERY = 240
"""Ticks between two rounds of upkeep."""


class SessionEndedError(Exception):
    """The connections are of no more use; the text says why."""


class Session:
    """Listens and dispatches until the connection breaks. `daemon` holds what outlives it: numbering, dispatcher, settings."""

    def __init__(self, daemon: Daemon, commands: Wire, listener: Listener) -> None:
        self.daemon = daemon
        self.commands = commands
        self.listener = listener
        self.keys = daemon.keys
        self.numbering = daemon.dispatcher.numbering
        self.deadlines = Deadlines(daemon.url, daemon.db)
        self.coverage = Coverage(self)
        self._rebind = asyncio.Event()
        self._notifications = Notifications(commands, self.numbering, self._blind)
        self._group: asyncio.TaskGroup | None = None
        self._refused = ""

    @classmethod
    async def open(cls, daemon: Daemon) -> Session:
        """Both connections."""
        commands = await connect(daemon.url)
        try:
            listener = await connect(daemon.url, Listener)
        except BaseException:
            commands.close()
            raise
        assert isinstance(listener, Listener)  # noqa: S101
        return cls(daemon, commands, listener)

    def function(self, name: str, *words: Any) -> tuple[Any, ...]:
        """A call of the engine, as words."""
        return ("FCALL", self.keys.function(name), 0, *words)

    async def run(self) -> None:
        """Until the connection breaks.

        Raises:
            SessionEndedError, redis.RedisError: it did.
        """
        try:
            await until_engine(self.commands, self.keys, self.daemon.db)
            await self._notifications.start()
            self.listener.attach(
                self.keys, self.numbering, self._on_tick, self._on_generation, self.daemon.dispatcher.flush
            )
            self.listener.on_wake = self._on_wake
            await self.listener.subscribe_control()
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._until_lost())
                await self._bind()
                self.daemon.dispatcher.wire = self.commands
                await self.commands.call(*self.function("tick", TICK_MS, 1))
                group.create_task(self._bind_again())
                group.create_task(self._beat())
                group.create_task(self.deadlines.run(self.commands))
                group.create_task(self.daemon.jobs.serve(self))
                group.create_task(self.daemon.scheduler.serve(self))
                group.create_task(Canary(self, self._notifications).run())
                group.create_task(Watchdog(self.daemon.url, self.keys, self.numbering).run(self.commands))
        except ExceptionGroup as group:
            raise _cause(group) from None
        finally:
            self._close()

    def _close(self) -> None:
        self.daemon.dispatcher.wire = None
        self.commands.close()
        self.listener.close()
        sources = list(self.numbering.sources.values())
        for source in sources:
            source.subscribed = False
        self.numbering.restart(sources)

    async def _until_lost(self) -> None:
        await asyncio.wait((self.commands.lost, self.listener.lost), return_when=asyncio.FIRST_COMPLETED)
        which = "command" if self.commands.lost.done() else "event"
        wire = self.commands if self.commands.lost.done() else self.listener
        raise SessionEndedError(f"the {which} connection broke: {wire.lost.result() or 'closed by the server'}")

    def rebind(self) -> None:
        """The triggers have changed: they are read again."""
        self._rebind.set()

    def _on_generation(self) -> None:
        self._rebind.set()

    async def _bind_again(self) -> None:
        while True:
            await self._rebind.wait()
            await asyncio.sleep(0)
            await self._bind()

    async def _bind(self) -> None:
        """Reads the triggers, subscribes to what is new; a generation that comes meanwhile is read too."""
        while True:
            self._rebind.clear()
            try:
                bindings = parse_bindings(await self.commands.call("FCALL_RO", self.keys.function("bound"), 0))
            except exceptions.ResponseError as error:
                log.warning("the triggers can't be read: %s", error)
                await asyncio.sleep(ENGINE_POLL_S)
                await until_engine(self.commands, self.keys, self.daemon.db)
                continue
            if not self._rebind.is_set():
                break
        changed = bindings.generation != self.numbering.bindings.generation
        new, left = self.numbering.bind(bindings)
        self.listener.unsubscribe(left)
        new += [source for source in self.numbering.sources.values() if not source.subscribed and source not in new]
        await self._ensure_flags()
        self.deadlines.bind(bindings)
        if new:
            await self.listener.subscribe(new)
            if self.numbering.now is not None:
                await self.commands.call(*self.function("tick", TICK_MS, 1))
        if changed:
            log.info(
                "generation %s: %d sources, %d sprocs",
                bindings.generation or "none",
                len(bindings.sources),
                len(bindings.sprocs),
            )
        self.daemon.dispatcher.rebound()
        self.daemon.scheduler.rebind()
        self.daemon.jobs.generation = bindings.generation.encode()

    def _on_wake(self, what: bytes) -> None:
        """A job's id; or that a retry is to come, or that sprocs were paused or resumed."""
        if what == SCHEDULES_CHANGED:
            self.daemon.scheduler.rebind()
        self.daemon.jobs.wake(delayed=what in {b"delayed", SCHEDULES_CHANGED})

    def _on_tick(self, tick: Tick) -> None:
        last = self.numbering.now
        if last is not None and (last.epoch != tick.epoch or tick.tick <= last.tick):
            log.warning("a new epoch: the server restarted, failed over or lost its data; what had not run is a gap")
            self.coverage.start_anew(self.numbering.sources.values())
        started = self.numbering.tick(tick)
        if started:
            self.coverage.cover(started)
        if started or tick.forced:
            self.coverage.beat(tick)
            self.daemon.dispatcher.flush()
        # Another daemon's tick may be heard before anything is subscribed to.
        bound = self.daemon.dispatcher.wire is not None
        if bound and all(source.segment is not None for source in self.numbering.sources.values()):
            self.daemon.heard_tick()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """A task of this session; none where nothing is listened to yet."""
        if self._group is None:
            work.close()
            return None
        return self._group.create_task(work)

    def post(self, function: str, *words: Any) -> None:
        """A call whose reply nobody waits for; one that is refused is said."""
        self.spawn(self._posted(function, words))

    async def _posted(self, function: str, words: tuple[Any, ...]) -> None:
        try:
            await self.commands.call(*self.function(function, *words))
        except exceptions.ResponseError as error:
            log.warning("%s was refused: %s", function, error)

    async def _beat(self) -> None:
        beats = 0
        while True:
            started = time.monotonic()
            tick = self.commands.call(*self.function("tick", TICK_MS, 0))
            try:
                epoch, number = await self._in_time(tick)
                self._check_heard(epoch.decode(), number)
                await self._ensure_flags()
            except exceptions.ResponseError as error:
                self._say_refused(str(error))
                if is_no_function(error):
                    await until_engine(self.commands, self.keys, self.daemon.db)
                    self._rebind.set()
            beats += 1
            self._upkeep(beats)
            if beats % BEATS_EVERY == 0 and self.numbering.now is not None:
                self.coverage.beat(self.numbering.now)
            await asyncio.sleep(max(0.0, TICK_MS / 1000 - (time.monotonic() - started)))

    async def _in_time(self, call: Any) -> Any:
        """The answer; where there is none for long, a second connection tells a hung server from a dead connection."""
        task = asyncio.ensure_future(call)
        task.add_done_callback(_retrieve)
        while True:
            done, _ = await asyncio.wait((task,), timeout=HUNG_S)
            if done:
                return task.result()
            try:
                probe = await connect(self.daemon.url)
                probe.close()
            except exceptions.ResponseError:  # BUSY: it is there, and runs a script
                continue
            except exceptions.RedisError:
                log.warning("no answer for %.0f s, and the server takes no connection: waiting", HUNG_S)
                continue
            if (await asyncio.wait((task,), timeout=1))[0]:  # it hung, and answers now
                return task.result()
            task.cancel()
            raise SessionEndedError("the connection hangs while the server answers others")

    def _say_refused(self, said: str) -> None:
        if said != self._refused:
            log.warning("the tick was refused: %s", said)
        self._refused = said
        if said.startswith("READONLY"):
            self.daemon.unheard += 1
            if self.daemon.unheard > TICKS_UNHEARD:
                raise SessionEndedError("the server is a replica now: looking for its master where the URL leads")

    def _check_heard(self, epoch: str, number: int) -> None:
        now = self.numbering.now
        if now is None or now.epoch != epoch or number - now.tick > TICKS_UNHEARD:
            self.daemon.unheard += 1
            if self.daemon.unheard > TICKS_UNHEARD:
                raise SessionEndedError(
                    "ticks don't arrive on the event connection: it is dead, or on a demoted master"
                )
        else:
            self.daemon.unheard = 0

    async def _ensure_flags(self) -> None:
        if await self._notifications.ensure():
            self.deadlines.rescan()

    def _blind(self, from_ms: int, why: str, sources: list[bytes]) -> None:
        self.post("blind", self.daemon.id, from_ms, why, *sources)

    def _upkeep(self, ticks: int) -> None:
        """Now and then: counted direct calls go to the stats, records that are too old go."""
        if ticks % FLUSH_EVERY == 0:
            self.post("flush")
        if ticks % TRIM_EVERY == 1 and self.daemon.executions_age_ms and self.numbering.now is not None:
            oldest = self.numbering.now.ms - self.daemon.executions_age_ms
            self.commands.send(packed("XTRIM", self.keys.executions, "MINID", "~", max(0, oldest)), lambda _: None)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Its error is not lost where whoever waited for it was cancelled: the session's end says why."""
    if not task.cancelled():
        task.exception()


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Why a session ended, of all that its tasks say about it; what says something else is a fault, and stays a group.

    Not by `except*`: of several clauses each raises, and two of them make a group again.
    """
    found, faults = group.split((SessionEndedError, exceptions.RedisError))
    if found is None or faults is not None:
        return group
    cause: Exception = found.subgroup(SessionEndedError) or found
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    return cause


async def leave(session: Session) -> None:
    """Says good-bye: the lease ends now."""
    tick = session.numbering.now
    if tick is not None:
        session.coverage.beat(tick)
        await asyncio.sleep(0)  # it is sent by a task: behind the good-bye it would bring the lease back
    await session.commands.call(*session.function("leave", session.daemon.id))
