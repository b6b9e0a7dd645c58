"""Takes async jobs for the daemon's workers, reports their outcomes, starts retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.codes import Status, Work
from luasprocs.contract.encoding import text
from luasprocs.contract.metadata import TOLD
from luasprocs.errors import SettingsError
from luasprocs.language.metadata import typed
from luasprocs.runtime.workers import Job, WorkerError
from luasprocs.server.errors import is_killed
from luasprocs.worker.messages import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.workload import Workload

LOOK_EVERY_S = 1.0
"""Finds jobs of dead daemons and due retries, and covers for lost wake-ups."""
REST_S = 0.005
HELD_EVERY_S = 5.0
"""A session looks first for jobs whose `take` was cut off; the server may be at that only after it has begun."""
NO_WORKER_REST_S = 2.0
REPORTED_AT_ONCE = 50


class Jobs:
    """The jobs side of one session. Outcomes of a time without a connection are reported on the next one.

    `hand_over`: gives a retry to the shard of a key; `dropped`: what callers put among their jobs and was none.
    """

    def __init__(self, link: Link, workload: Workload, hand_over: Callable[[bytes, bytes], Awaitable[None]]) -> None:
        self._link, self._workload, self._hand_over = link, workload, hand_over
        self._wake = asyncio.Event()
        self._next_due_s = math.inf
        self._reporting = False
        self.dropped = 0
        workload.ended = self._ended
        workload.begun = self._begun

    def wake(self, *, delayed: bool = False) -> None:
        """Looks for jobs; `delayed`: for retries, too."""
        if delayed:
            self._next_due_s = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Takes and reports until the session ends.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        looked_s = held_s = -math.inf
        while True:
            self._wake.clear()
            self._report_soon()
            stale = time.monotonic() - looked_s >= LOOK_EVERY_S
            if stale:
                looked_s = time.monotonic()
            if stale or self._rest_s() == 0:
                await self._start_retries()
            try:
                await self._return_unbegun()
                if time.monotonic() - held_s >= HELD_EVERY_S:
                    held_s = time.monotonic()
                    await self._find_held()
                if self._workload.room and await self._prepared():
                    await self._take(stale=stale)
                    self._link.said.forget(Work.JOBS)
            except exceptions.ResponseError as error:
                self._link.refused(Work.JOBS, "jobs can't be taken", error, logging.ERROR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s()):
                    await self._wake.wait()

    def _rest_s(self) -> float:
        """Seconds until the next retry is due."""
        return min(LOOK_EVERY_S, max(0.0, self._next_due_s - time.monotonic()))

    async def _prepared(self) -> bool:
        """Whether there are jobs, and a worker to run them."""
        pool = self._workload.pool
        if pool.ready:
            return True
        if not await self._link.command("XLEN", self._link.keys.jobs):
            return False
        try:
            await pool.prepare()
        except WorkerError as error:
            self._link.say(Work.JOBS, f"{error}; async sprocs wait", logging.ERROR)
            await asyncio.sleep(NO_WORKER_REST_S)
            return False
        return True

    async def _find_held(self) -> None:
        """Finds jobs that the server has handed to this daemon in a reply that was lost with its connection."""
        if not self._workload.stopping:
            generation, *rows = await self._link.call("held", self._link.daemon, *self._workload.at_hand)
            self._workload.generation = generation
            self._workload.add(map(parse_job, rows))

    async def _return_unbegun(self) -> None:
        """Puts back jobs that no worker could begin: another daemon may have one."""
        unbegun = self._workload.unbegun
        while unbegun:
            some = list(unbegun)[:REPORTED_AT_ONCE]
            await self._link.call("back", self._link.daemon, *(job.entry for job in some))
            for job in some:
                unbegun.popleft()
                self._workload.settled(job)

    async def put_back_all(self) -> None:
        """Puts back what has not ended, after the reports: another daemon need not wait for this one's lease to end, and a run
        that was cut off by a stop in order is no try. Raises redis.ConnectionError.
        """
        left = list(self._workload.at_hand)
        with contextlib.suppress(exceptions.ResponseError):  # then they are claimed later
            for start in range(0, len(left), REPORTED_AT_ONCE):
                await self._link.call("back", self._link.daemon, *left[start : start + REPORTED_AT_ONCE])

    def _begun(self, entry: bytes) -> None:
        if self._link.is_open:
            self._link.send(self._link.packed("begun", self._link.daemon, entry), lambda _: None)

    async def _take(self, *, stale: bool) -> None:
        while room := self._workload.room:
            generation, *rows = await self._link.call("take", self._link.daemon, room, int(stale))
            self._workload.generation = generation
            self._workload.add(map(parse_job, rows))
            stale = False
            if len(rows) < room:
                return

    def _ended(self) -> None:
        self._report_soon()
        self.wake()

    def _report_soon(self) -> None:
        """Reports in one call all jobs that end in one turn of the loop, or while the server has not answered."""
        if not self._reporting:
            self._reporting = True
            asyncio.get_running_loop().call_soon(self._report)

    def report_all(self) -> None:
        """Sends all reports without waiting for replies: later commands come after them."""
        while self._workload.unreported and self._link.is_open:
            self._report()

    def _report(self) -> None:
        unreported = self._workload.unreported
        if not unreported or not self._link.is_open:
            self._reporting = False
            return
        ended = [unreported.popleft() for _ in range(min(REPORTED_AT_ONCE, len(unreported)))]
        words: list[Any] = []
        for job, outcome in ended:
            words += (job.entry, outcome.status, outcome.duration_us, outcome.reply, outcome.error)
        self._link.send(self._link.packed("finish", self._link.daemon, *words), partial(self._reported, ended))

    def _reported(self, ended: list[tuple[Job, Outcome]], reply: Any) -> None:
        self._reporting = False
        unreported = self._workload.unreported
        if isinstance(reply, exceptions.ConnectionError):
            unreported.extend(ended)  # reported again on the next connection; a second report is answered LOST
            return
        if isinstance(reply, Exception):
            self._link.refused("finish", "ends of jobs can't be recorded", reply)
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, unreported.extend, ended)
        else:
            self._link.said.forget("finish")
            for job, _ in ended:
                self._workload.settled(job)
        if unreported:
            self._report_soon()

    async def _start_retries(self) -> None:
        """Starts due retries, and notes when the next one is due."""
        try:
            next_due, *due = await self._link.call("due")
            if due and isinstance(due[-1], int):
                self._note_dropped(due.pop())
            self._next_due_s = time.monotonic() + max(REST_S, int(next_due) / 1000) if next_due else math.inf
            for job in due:
                await self._retry(job)
            self._link.said.forget(Work.RETRIES)
        except exceptions.ResponseError as error:
            self._link.refused(Work.RETRIES, "retries can't be started", error, logging.ERROR)

    def _note_dropped(self, count: int) -> None:
        self.dropped += count
        self._link.say("dropped", f"{self._link.keys.enqueued} holds what is no job of an async sproc: it is dropped")

    async def _retry(self, job: bytes) -> None:
        """Runs a server-side sproc again. If FUNCTION KILL stopped it, it has written nothing, so its record is written here."""
        try:
            reply = await self._link.call("retry", self._link.daemon, job, "")
            if isinstance(reply, list):
                await self._hand_over(job, reply[0])
        except exceptions.ResponseError as error:
            if not is_killed(error):
                raise
            await self._link.call("retry", self._link.daemon, job, Status.TIMEOUT)


def parse_job(row: list[Any]) -> Job:
    """Parses a row of the engine's `take`."""
    entry, job_id, name, trigger, depth, origin, attempt, *told = row
    count, *rest = told[len(TOLD) :]
    return Job(
        entry=entry,
        id=job_id,
        name=name,
        trigger=trigger,
        depth=int(depth),
        origin=origin,
        attempt=int(attempt),
        header={key: _typed(key, value) for key, value in zip(TOLD, told, strict=False)},
        keys=tuple(rest[:count]),
        args=tuple(rest[count + 1 :]),
    )


def _typed(key: str, written: bytes) -> Any:
    """The typed value; the default if the stored one is empty or was broken by hand."""
    values = {"runasync": "yes", key: text(written)}
    try:
        return typed(values, key)
    except SettingsError:
        return typed(values | {key: ""}, key)
