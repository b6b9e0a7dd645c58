"""The jobs of one shard in this daemon: queued, running, and not yet reported. Outlives sessions; does no server I/O."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Status
from luasprocs.contract.encoding import text
from luasprocs.runtime.log import log
from luasprocs.runtime.pool import DEPTH
from luasprocs.runtime.workers import WorkerError
from luasprocs.server.states import takes_no_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.runtime.pool import Pool
    from luasprocs.runtime.workers import Job
    from luasprocs.worker.messages import Outcome

SHORT_US = 5000
AHEAD = 16
"""Jobs taken in advance while runs are short, at least half of them at a time: such a run takes less than a round trip."""
NAMES_LIMIT = 10_000
TRY_S = 0.02
"""A run that was short the last time counts as a try after so long: telling the server of each takes longer than it does."""


class Workload:
    """`generation`: the newest one known here, whose sources new runs use; `ended`: called after each run.

    `unreported`: jobs with outcomes that the server doesn't know yet; `done`: how many have ended. `begun`: called with a
    job's entry when its run begins; `unbegun`: jobs that no worker could begin, or that a server has stopped which takes no
    writes. `at_hand`: entries of all jobs that were handed to this daemon, until the server knows what became of them.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.generation = b""
        self.done = 0
        self.unreported: deque[tuple[Job, Outcome]] = deque()
        self.unbegun: deque[Job] = deque()
        self.at_hand: set[bytes] = set()
        self.ended: Callable[[], None] = lambda: None
        self.begun: Callable[[bytes], None] = lambda _: None
        self._queued: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._took_us: dict[bytes, int] = {}
        self._long = 0
        self._last_short = False
        self.stopping = False

    @property
    def running(self) -> int:
        """How many jobs are running."""
        return len(self._tasks)

    @property
    def names(self) -> list[str]:
        """The sprocs of these."""
        return sorted({task.get_name() for task in self._tasks})

    @property
    def room(self) -> int:
        """How many more jobs to take: some in advance, if those at hand are short."""
        if self.stopping:
            return 0
        at_hand = self.running + len(self._queued)
        short = self._last_short and not self._long and all(map(self._is_short, self._queued))
        if not short:
            return max(0, self.pool.size - at_hand)
        room = self.pool.size * DEPTH + AHEAD - at_hand
        return room if room >= AHEAD // 2 else 0

    def add(self, jobs: Iterable[Job]) -> None:
        """Queues jobs that aren't at hand already; each runs when a worker is free."""
        for job in jobs:
            if job.entry not in self.at_hand:
                self.at_hand.add(job.entry)
                self._queued.append(job)
        self._start()

    def settled(self, job: Job) -> None:
        """The server knows what became of a job."""
        self.at_hand.discard(job.entry)

    def move(self, servers: tuple[tuple[str, int], ...], nodes: tuple[tuple[str, int], ...] = ()) -> None:
        """`servers`: the master first. If it is another one, what runs here has written to the old one, which is lost: it is
        ended, and handed to this daemon again by the new one. `nodes`: of the cluster.
        """
        if self.pool.move(servers, nodes):
            if self._tasks:
                log.warning("the master is another one: %d async runs are ended and begin again", len(self._tasks))
            for task in self._tasks:
                task.cancel()
            self._queued.clear()
            self.unbegun.clear()
            self.at_hand = {job.entry for job, _ in self.unreported}

    def stop(self) -> None:
        """Begins no more jobs; those that have not begun are left to other daemons."""
        self.stopping = True
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
        while self._queued and not self.stopping:
            limit = self.pool.size * (DEPTH if self._is_short(self._queued[0]) else 1)
            if self.running >= limit:
                return
            job = self._queued.popleft()
            task = asyncio.create_task(self._run(job), name=text(job.name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        short = self._is_short(job)
        self._long += not short
        try:
            outcome = await self.pool.run(job, self.generation, self._begins, short=short)
        except WorkerError:
            self.unbegun.append(job)
        else:
            if outcome.status == Status.ERROR and takes_no_writes(text(outcome.error)):
                self.unbegun.append(job)  # that was no try: it begins anew when the server takes writes again
            else:
                self._note(job, outcome)
        finally:
            self._long -= not short
        if task := asyncio.current_task():
            self._tasks.discard(task)
        self._start()
        self.ended()

    def _note(self, job: Job, outcome: Outcome) -> None:
        self.done += 1
        if len(self._took_us) > NAMES_LIMIT:
            self._took_us.clear()
        self._took_us[job.name] = outcome.duration_us if outcome.status == Status.OK else SHORT_US
        self._last_short = self._is_short(job)
        self.unreported.append((job, outcome))

    def _begins(self, job: Job) -> asyncio.TimerHandle | None:
        """Counts the run that begins as a try. Of one that was short the last time, only if it takes long."""
        if not self._is_short(job):
            self.begun(job.entry)
            return None
        return asyncio.get_running_loop().call_later(TRY_S, self.begun, job.entry)
