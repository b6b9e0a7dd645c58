"""Takes async jobs for this daemon's workers, reports how each ended, starts retries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.encoding import text
from luasprocs.contract.metadata import KEYS
from luasprocs.errors import SettingsError
from luasprocs.language.metadata import parse_value
from luasprocs.runtime.workers import Job, Outcome, WorkerError
from luasprocs.server.errors import is_killed

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.workload import Workload

log = logging.getLogger("luasprocs.daemon")

LOOK_EVERY_S = 1.0
"""For jobs of dead daemons, for retries that are due, and in case a wake-up was lost."""
REST_S = 0.005
NO_WORKER_REST_S = 10.0
REPORTED_AT_ONCE = 50


class Jobs:
    """One session's part in the jobs; what ended while there was no connection is reported on the next one."""

    def __init__(self, link: Link, workload: Workload) -> None:
        self._link, self._workload = link, workload
        self._wake = asyncio.Event()
        self._next_due_s = math.inf
        self._reporting = False
        workload.ended = self._ended

    def wake(self, *, delayed: bool = False) -> None:
        """There may be something to take; `delayed`: or to be done later."""
        if delayed:
            self._next_due_s = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Takes and reports for as long as the session lasts.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        looked_s = -math.inf
        while True:
            self._wake.clear()
            self._report_soon()
            stale = time.monotonic() - looked_s >= LOOK_EVERY_S
            if stale:
                looked_s = time.monotonic()
            if stale or self._rest_s() == 0:
                await self._start_retries()
            try:
                if self._workload.room and await self._prepared():
                    await self._take(stale=stale)
            except exceptions.ResponseError as error:
                self._link.say("jobs", f"jobs can't be taken: {error}", logging.ERROR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s()):
                    await self._wake.wait()

    def _rest_s(self) -> float:
        """Until the next retry is due; its answer says when by the server's clock, which this one follows from then on."""
        return min(LOOK_EVERY_S, max(0.0, self._next_due_s - time.monotonic()))

    async def _prepared(self) -> bool:
        """Whether there is anything to take, and somebody to run it."""
        pool = self._workload.pool
        if pool.ready:
            return True
        if not await self._link.command("XLEN", self._link.keys.jobs):
            return False
        try:
            await pool.prepare()
        except WorkerError as error:
            self._link.say("jobs", f"{error}; async sprocs wait", logging.ERROR)
            await asyncio.sleep(NO_WORKER_REST_S)
            return False
        self._link.said.forget("jobs")
        return True

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
        """What ends in one turn of the loop is reported together, and what ends while the server hasn't answered, too."""
        if not self._reporting:
            self._reporting = True
            asyncio.get_running_loop().call_soon(self._report)

    def report_all(self) -> None:
        """Reports without waiting for answers: what is sent next comes behind it."""
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
            unreported.extend(ended)  # reported again on the next connection; the second is LOST
            return
        if isinstance(reply, Exception):
            log.warning("the end of job %s could not be recorded: %s", ended[0][0].id.decode(), reply)
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, unreported.extend, ended)
        if unreported:
            self._report_soon()

    async def _start_retries(self) -> None:
        """Those that are due; the answer says when the next one is."""
        try:
            next_due, *due = await self._link.call("due")
            self._next_due_s = time.monotonic() + max(REST_S, int(next_due) / 1000) if next_due else math.inf
            for job in due:
                await self._retry(job)
        except exceptions.ResponseError as error:
            self._link.say("retries", f"retries can't be started: {error}", logging.ERROR)

    async def _retry(self, job: bytes) -> None:
        """A server-side run again. One that FUNCTION KILL stopped has written nothing: it is recorded here."""
        try:
            await self._link.call("retry", self._link.daemon, job, "")
        except exceptions.ResponseError as error:
            if not is_killed(error):
                raise
            await self._link.call("retry", self._link.daemon, job, "timeout")


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
        timeout_ms=_value("timeout", timeout),
        memory_bytes=_value("memory", memory),
        keys=tuple(rest[:count]),
        args=tuple(rest[count + 1 :]),
    )


def _value(key: str, written: bytes) -> Any:
    """As the registry has it; the default if it is empty, or was broken by hand."""
    default = KEYS[key].default({"runasync": "yes"})
    try:
        return parse_value(key, text(written) or default)
    except SettingsError:
        return parse_value(key, default)
