"""Takes async jobs for this daemon's workers, and reports how each ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.language.metadata import ASYNC_TIMEOUT_MS, MEMORY_BYTES
from luasprocs.language.values import duration_ms, size_bytes
from luasprocs.runtime.pool import DEPTH, Pool
from luasprocs.runtime.wire import packed
from luasprocs.runtime.workers import Job, Outcome, WorkerError
from luasprocs.server.errors import is_killed

if TYPE_CHECKING:
    from luasprocs.runtime.session import Session

log = logging.getLogger("luasprocs.daemon")

LOOK_EVERY_S = 1.0
"""For jobs of dead daemons, for retries that are due, and in case a wake-up was lost."""
REST_S = 0.005
NO_WORKER_REST_S = 10.0
SHORT_US = 5000
AHEAD = 16
"""Jobs taken beyond those under way while runs are short, half of them at once: a run is shorter than the way to the server."""
REPORTED_AT_ONCE = 50
NAMES_LIMIT = 10_000


class Jobs:
    """This daemon's jobs. They outlive a session: what ended while there was no connection is reported on the next one.

    `generation`: the newest that is known here, whose sources a job that begins runs.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.generation = b""
        self.done = 0
        self._queued: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreported: deque[tuple[Job, Outcome]] = deque()
        self._wake = asyncio.Event()
        self._session: Session | None = None
        self._stopping = False
        self._took_us: dict[bytes, int] = {}
        self._long = 0
        self._last_short = False
        self._next_due = math.inf
        self._refusal = ""
        self._reporting = False

    @property
    def running(self) -> int:
        """Jobs under way here."""
        return len(self._tasks)

    def wake(self, *, delayed: bool = False) -> None:
        """There may be something to take; `delayed`: or to be done later."""
        if delayed:
            self._next_due = 0.0
        self._wake.set()

    def stop(self) -> None:
        """Takes no more; what was taken and has not begun is left to others."""
        self._stopping = True
        self._queued.clear()

    async def end(self, deadline: float) -> None:
        """What runs ends, or is killed at the deadline (monotonic seconds): then another daemon runs it again."""
        if self._tasks:
            _, cut_off = await asyncio.wait(self._tasks, timeout=max(0.0, deadline - time.monotonic()))
            if cut_off:
                log.warning(
                    "%d async runs have not ended: they are cut off here, and run again elsewhere", len(cut_off)
                )
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        while self._unreported and self._session is not None and self._session.commands.open:
            self._report()  # without waiting for answers: the good-bye comes behind it
        await self.pool.close()

    async def serve(self, session: Session) -> None:
        """Takes and reports for as long as the session lasts.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        self._session = session
        looked = 0.0
        try:
            while True:
                self._wake.clear()
                self._report_soon()
                stale = time.monotonic() - looked >= LOOK_EVERY_S
                if stale:
                    looked = time.monotonic()
                if stale or self._rest_s() == 0:
                    await self._due(session)
                try:
                    if not self._stopping and await self._prepared(session):
                        await self._take(session, stale=stale)
                except exceptions.ResponseError as error:
                    self._say(f"jobs can't be taken: {error}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s()):
                        await self._wake.wait()
        finally:
            self._session = None

    def _rest_s(self) -> float:
        """Until the next retry is due; its answer says when by the server's clock, which this one follows from then on."""
        return min(LOOK_EVERY_S, max(0.0, self._next_due - time.monotonic()))

    async def _prepared(self, session: Session) -> bool:
        """Whether there is anything to take, and somebody to run it."""
        if self.pool.ready:
            return True
        if not await session.commands.call("XLEN", session.keys.jobs):
            return False
        try:
            await self.pool.prepare()
        except WorkerError as error:
            self._say(f"{error}; async sprocs wait")
            await asyncio.sleep(NO_WORKER_REST_S)
            return False
        self._refusal = ""
        return True

    def _say(self, text: str) -> None:
        if text != self._refusal:
            self._refusal = text
            log.error(text)

    async def _take(self, session: Session, *, stale: bool) -> None:
        while (room := self._room()) > 0:
            self.generation, *rows = await session.commands.call(
                *session.function("take", session.daemon.id, room, int(stale))
            )
            self._queued.extend(map(parse_job, rows))
            self._start()
            stale = False
            if len(rows) < room:
                return

    def _room(self) -> int:
        """How many more jobs may be taken: some ahead, if those at hand are short."""
        at_hand = self.running + len(self._queued)
        short = self._last_short and not self._long and all(map(self._is_short, self._queued))
        if not short:
            return self.pool.size - at_hand
        room = self.pool.size * DEPTH + AHEAD - at_hand
        return room if room >= AHEAD // 2 else 0

    def _is_short(self, job: Job) -> bool:
        """Whether the last run of its sproc was: then it may be given to a worker that has another one."""
        return self._took_us.get(job.name, SHORT_US) < SHORT_US

    def _start(self) -> None:
        while self._queued and not self._stopping:
            limit = self.pool.size * (DEPTH if self._is_short(self._queued[0]) else 1)
            if self.running >= limit:
                return
            task = asyncio.create_task(self._run(self._queued.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        short = self._is_short(job)
        self._long += not short
        try:
            outcome = await self.pool.run(job, self.generation, short=short)
        finally:
            self._long -= not short
        self.done += 1
        if len(self._took_us) > NAMES_LIMIT:
            self._took_us.clear()
        self._took_us[job.name] = outcome.duration_us if outcome.status == "ok" else SHORT_US
        self._last_short = self._is_short(job)
        self._unreported.append((job, outcome))
        self._report_soon()
        if task := asyncio.current_task():
            self._tasks.discard(task)
        self._start()
        self.wake()

    def _report_soon(self) -> None:
        """What ends in one turn of the loop is told together, and what ends while the server hasn't answered, too."""
        if not self._reporting:
            self._reporting = True
            asyncio.get_running_loop().call_soon(self._report)

    def _report(self) -> None:
        session = self._session
        if session is None or not self._unreported or not session.commands.open:
            self._reporting = False
            return
        ended = [self._unreported.popleft() for _ in range(min(REPORTED_AT_ONCE, len(self._unreported)))]
        words: list[Any] = [*session.function("finish", session.daemon.id)]
        for job, outcome in ended:
            words += (job.entry, outcome.status, outcome.duration_us, outcome.reply, outcome.error)
        session.commands.send(packed(*words), partial(self._reported, ended))

    def _reported(self, ended: list[tuple[Job, Outcome]], reply: Any) -> None:
        self._reporting = False
        if isinstance(reply, exceptions.ConnectionError):
            self._unreported.extend(ended)  # told again on the next connection; the second is LOST
            return
        if isinstance(reply, Exception):
            log.warning("the end of job %s could not be recorded: %s", ended[0][0].id.decode(), reply)
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._unreported.extend, ended)
        if self._unreported:
            self._report_soon()

    async def _due(self, session: Session) -> None:
        try:
            next_due, *texts = await session.commands.call(*session.function("due"))
            self._next_due = time.monotonic() + max(REST_S, int(next_due) / 1000) if next_due else math.inf
            for text in texts:
                await self._retry(session, text)
        except exceptions.ResponseError as error:
            self._say(f"retries can't be started: {error}")

    async def _retry(self, session: Session, text: bytes) -> None:
        """A server-side run again. One that FUNCTION KILL stopped has written nothing: it is recorded here."""
        retry = session.function("retry", session.daemon.id, text)
        try:
            await session.commands.call(*retry, "")
        except exceptions.ResponseError as error:
            if not is_killed(error):
                raise
            await session.commands.call(*retry, "timeout")


def parse_job(row: list[Any]) -> Job:
    """A row of the engine's `take`."""
    entry, job_id, name, trigger, depth, origin, attempt, timeout, memory, count, *rest = row
    return Job(
        entry=entry,
        id=job_id,
        name=name,
        trigger=trigger,
        depth=int(depth),
        origin=origin,
        attempt=int(attempt),
        timeout_ms=duration_ms(timeout.decode()) if timeout else ASYNC_TIMEOUT_MS,
        memory_bytes=size_bytes(memory.decode()) if memory else MEMORY_BYTES,
        keys=tuple(rest[:count]),
        args=tuple(rest[count + 1 :]),
    )
