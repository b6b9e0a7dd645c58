"""A daemon's worker processes: starts them, and chooses one for each job."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from luasprocs.runtime.workers import NotBegunError, Worker, WorkerError

if TYPE_CHECKING:
    from luasprocs.runtime.workers import Begins, Job, WorkerSetup
    from luasprocs.worker.messages import Outcome

START_AGAIN_S = 2.0
"""After a worker that could not be started."""
DEPTH = 3
"""Jobs that one worker may hold: it begins the next one without a round trip."""


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """At most `size` workers, started on demand; dead ones are replaced."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.setup = setup
        self.size = setup.rules.count or _cores()
        self._workers: list[Worker] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._start_again_s, self._refused = 0.0, ""
        self._freed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a worker has started, so that jobs can run here."""
        return bool(self._workers)

    def move(self, servers: tuple[tuple[str, int], ...], nodes: tuple[tuple[str, int], ...] = ()) -> bool:
        """Whether `servers[0]` is another master than before: then all workers that wait are ended, too."""
        before, self.setup = self.setup.servers, replace(self.setup, servers=servers, nodes=nodes)
        if not before or before[0] == servers[0]:
            return False
        for worker in self._workers:
            if not worker.load:
                worker.kill()
        self._drop_dead()
        return True

    async def prepare(self) -> None:
        """Starts the first worker unless there is one; afterwards jobs can be taken.

        Raises:
            WorkerError: none can run here.
        """
        if not self._workers:
            self._workers.append(await Worker.start(self.setup))

    async def run(self, job: Job, generation: bytes, begins: Begins, *, short: bool = False) -> Outcome:
        """Runs a job with a generation's sources. `short`: it may queue behind other short jobs, up to DEPTH on one worker.

        Raises:
            WorkerError: no worker could begin it.
        """
        while True:
            try:
                worker = await self._take(short=short)
                worker.short = worker.short and short
                return await worker.run(job, generation, begins)
            except NotBegunError:
                continue
            finally:
                self._drop_dead()
                self._freed.set()

    def _drop_dead(self) -> None:
        """Those that were killed are waited for, by `close` at the latest."""
        for worker in self._workers:
            if not worker.alive:
                task = asyncio.create_task(worker.gone())
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
        self._workers = [worker for worker in self._workers if worker.alive]

    async def _take(self, *, short: bool) -> Worker:
        """An idle worker, or a new one, or one with few jobs; waits until there is one."""
        while True:
            self._freed.clear()
            living = [worker for worker in self._workers if worker.alive]
            worker = min(living, key=lambda one: one.load, default=None)
            if worker is not None and not worker.load:
                return worker
            if len(living) + self._starting < self.size and time.monotonic() >= self._start_again_s:
                with contextlib.suppress(WorkerError):
                    return await self._started()
                continue  # those that have started do
            if self._refused and not living and not self._starting:
                raise WorkerError(self._refused)
            shared = [one for one in living if short and one.short and one.load < DEPTH]
            if shared:
                return min(shared, key=lambda one: one.load)
            await self._freed.wait()

    async def _started(self) -> Worker:
        self._starting += 1
        try:
            worker = await Worker.start(self.setup)
        except WorkerError as error:
            self._start_again_s, self._refused = time.monotonic() + START_AGAIN_S, str(error)
            raise
        finally:
            self._starting -= 1
            self._freed.set()
        self._workers.append(worker)
        return worker

    async def close(self) -> None:
        """Kills the workers and waits until they have ended; those that run jobs end with their tasks."""
        for worker in self._workers:
            worker.kill()
        await asyncio.gather(*(worker.gone() for worker in self._workers), *self._ending)
        self._workers.clear()
