"""Takes async jobs for this daemon's workers, and reports how each ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.metadata import ASYNC_TIMEOUT_MS, MEMORY_BYTES
from luasprocs.runtime.wire import packed
from luasprocs.runtime.workers import Job, Outcome, Pool, WorkerError
from luasprocs.values import duration_ms, size_bytes

if TYPE_CHECKING:
    from luasprocs.runtime.session import Session

log = logging.getLogger("luasprocs.daemon")

LOOK_EVERY_S = 1.0
"""For jobs of dead daemons, for retries that are due, and in case a wake-up was lost."""
REST_S = 0.005
NO_WORKER_REST_S = 10.0
SHORT_US = 5000
AHEAD = 4
"""Jobs taken beyond the free workers while runs are short: the way to the server is then longer than a run."""


class Jobs:
    """This daemon's jobs. They outlive a session: what ended while there was no connection is reported on the next one."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.done = 0
        self._queued: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreported: deque[tuple[Job, Outcome]] = deque()
        self._wake = asyncio.Event()
        self._session: Session | None = None
        self._stopping = False
        self._mean_us = float(SHORT_US)
        self._next_due = math.inf
        self._refusal = ""

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
            await asyncio.wait(self._tasks, timeout=max(0.0, deadline - time.monotonic()))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.pool.close()

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
                self._report()
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
        ahead = AHEAD if self._mean_us < SHORT_US else 0
        while (room := self.pool.size + ahead - self.running - len(self._queued)) > 0:
            generation, *rows = await session.commands.call(
                *session.function("take", session.daemon.id, room, int(stale))
            )
            self._queued.extend(parse_job(row, generation) for row in rows)
            self._start()
            stale = False
            if len(rows) < room:
                return

    def _start(self) -> None:
        while self._queued and self.running < self.pool.size and not self._stopping:
            task = asyncio.create_task(self._run(self._queued.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        outcome = await self.pool.run(job)
        self.done += 1
        self._mean_us = self._mean_us * 0.9 + outcome.duration_us * 0.1
        self._unreported.append((job, outcome))
        self._report()
        if task := asyncio.current_task():
            self._tasks.discard(task)
        self._start()
        self.wake()

    def _report(self) -> None:
        session = self._session
        while session is not None and self._unreported and session.commands.open:
            job, outcome = self._unreported.popleft()
            words = session.function(
                *(
                    "finish",
                    session.daemon.id,
                    job.entry,
                    outcome.status,
                    outcome.duration_us,
                    outcome.reply,
                    outcome.error,
                )
            )

            def answered(reply: Any, job: Job = job, outcome: Outcome = outcome) -> None:
                if isinstance(reply, exceptions.ConnectionError):
                    self._unreported.append((job, outcome))  # told again on the next connection; the second is LOST
                elif isinstance(reply, Exception):
                    log.warning("the end of job %s could not be recorded: %s", job.id.decode(), reply)
                    asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._unreported.append, (job, outcome))

            session.commands.send(packed(*words), answered)

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
            if "killed by user" not in str(error) and "Script killed" not in str(error):
                raise
            await session.commands.call(*retry, "timeout")


def parse_job(row: list[Any], generation: bytes) -> Job:
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
        generation=generation,
        timeout_ms=duration_ms(timeout.decode()) if timeout else ASYNC_TIMEOUT_MS,
        memory_bytes=size_bytes(memory.decode()) if memory else MEMORY_BYTES,
        keys=tuple(rest[:count]),
        args=tuple(rest[count + 1 :]),
    )
