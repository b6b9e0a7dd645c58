"""The jobs of one shard in this daemon: queued, running, and not yet reported. Outlives sessions; does no server I/O."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Status
from luasprocs.runtime.pool import DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.runtime.pool import Pool
    from luasprocs.runtime.workers import Job, Outcome

log = logging.getLogger("luasprocs.daemon")

SHORT_US = 5000
AHEAD = 16
"""Jobs taken in advance while runs are short, at least half of them at a time: such a run takes less than a round trip."""
NAMES_LIMIT = 10_000


class Workload:
    """`generation`: the newest one known here, whose sources new runs use; `ended`: called after each run.

    `unreported`: jobs with outcomes that the server doesn't know yet; `done`: how many have ended.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.generation = b""
        self.done = 0
        self.unreported: deque[tuple[Job, Outcome]] = deque()
        self.ended: Callable[[], None] = lambda: None
        self._queued: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._took_us: dict[bytes, int] = {}
        self._long = 0
        self._last_short = False
        self._stopping = False

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return len(self._tasks)

    @property
    def room(self) -> int:
        """How many more jobs to take: some in advance, if those at hand are short."""
        if self._stopping:
            return 0
        at_hand = self.running + len(self._queued)
        short = self._last_short and not self._long and all(map(self._is_short, self._queued))
        if not short:
            return max(0, self.pool.size - at_hand)
        room = self.pool.size * DEPTH + AHEAD - at_hand
        return room if room >= AHEAD // 2 else 0

    def add(self, jobs: Iterable[Job]) -> None:
        """Queues jobs; each runs when a worker is free."""
        self._queued.extend(jobs)
        self._start()

    def stop(self) -> None:
        """Begins no more jobs; those that have not begun are left to other daemons."""
        self._stopping = True
        self._queued.clear()

    async def end(self, deadline_s: float) -> None:
        """Waits for running jobs, and kills the rest at the deadline (monotonic seconds): another daemon runs these again."""
        if self._tasks:
            _, cut_off = await asyncio.wait(self._tasks, timeout=max(0.0, deadline_s - time.monotonic()))
            if cut_off:
                log.warning(
                    "%d async runs did not end in time: they are killed here and run again on another daemon",
                    len(cut_off),
                )
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _is_short(self, job: Job) -> bool:
        """Whether the last run of its sproc was short: then it may share a worker with others."""
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
        self._took_us[job.name] = outcome.duration_us if outcome.status == Status.OK else SHORT_US
        self._last_short = self._is_short(job)
        self.unreported.append((job, outcome))
        if task := asyncio.current_task():
            self._tasks.discard(task)
        self._start()
        self.ended()
