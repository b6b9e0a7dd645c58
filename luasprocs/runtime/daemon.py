"""The daemon: sessions one after another, for as long as it shall run."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.cancelling import end
from luasprocs.runtime.dispatcher import Dispatcher
from luasprocs.runtime.jobs import Jobs
from luasprocs.runtime.pool import Pool
from luasprocs.runtime.scheduler import Scheduler
from luasprocs.runtime.session import Session, SessionEndedError, leave
from luasprocs.runtime.watchdog import Watchdog
from luasprocs.runtime.workers import WorkerRules, WorkerSetup
from luasprocs.server import connection as server
from luasprocs.state.paused import pausing

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.numbering import Source

log = logging.getLogger("luasprocs.daemon")

RETRY_FIRST_S = 0.05
RETRY_LONGEST_S = 0.8
"""So that it goes on within two seconds of the server's answering."""
STOP_TIMEOUT_S = 10.0
MEND_EVERY_S = 0.2


def daemon_id() -> str:
    """A name for a daemon: host, process, and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Daemon:
    """Runs sprocs for one registry. `executions_limit`: about how many records are kept; `workers`: for async sprocs."""

    def __init__(  # settings by name
        self,
        url: str,
        keys: Keys,
        db: int,
        *,
        executions_limit: int = 10_000,
        executions_age_ms: int = 0,
        workers: WorkerRules | None = None,
    ) -> None:
        self.url = url
        self.keys = keys
        self.db = db
        self.id = daemon_id()
        self.dispatcher = Dispatcher(keys, self.id, self._stale, self._broken, self._unregistered, self.pause)
        self.jobs = Jobs(Pool(WorkerSetup(url, keys.namespace, db, self.id, workers or WorkerRules())))
        self.scheduler = Scheduler()
        self.unheard = 0
        self._mended = 0.0
        self.executions_age_ms = executions_age_ms
        self._executions_limit = executions_limit
        self._ready: Callable[[], None] = lambda: None
        self._listening = False
        self._session: Session | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started = time.time()

    def on_ready(self, ready: Callable[[], None]) -> None:
        """`ready` is called when it listens for the first time, and again after each reconnection."""
        self._ready = ready

    @property
    def listening(self) -> bool:
        """Whether it hears the server's ticks."""
        return self._listening

    @property
    def status(self) -> str:
        """In a few words, for a service manager."""
        return f"listening, lag {self.dispatcher.lag}" if self._listening else "waiting for the server"

    def stop(self) -> None:
        """No new work; `run` returns when what runs has ended."""
        self.dispatcher.stopping = True
        self.jobs.stop()
        self.scheduler.stop()
        self._stop.set()

    def info(self) -> dict[str, Any]:
        """What the heartbeat says beside coverage."""
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": round(self._started),
            "lag": self.dispatcher.lag,
            "read": self.dispatcher.numbering.events_read,
            "runs": self.dispatcher.runs,
            "jobs": self.jobs.running,
            "jobs_done": self.jobs.done,
            "schedules": len(self.scheduler),
            "ticks": self.scheduler.runs,
        }

    def heard_tick(self) -> None:
        """The session hears ticks: it listens."""
        if not self._listening:
            self._listening = True
            self._ready()

    async def run(self) -> None:
        """Until `stop`."""
        main = asyncio.create_task(self._sessions())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait((main, stopped), return_when=asyncio.FIRST_COMPLETED)
        if main.done():
            stopped.cancel()
            main.result()
            return
        await self._end_of_work()
        await end(main)

    async def _end_of_work(self) -> None:
        """What runs ends; then the lease is given back."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while (self.dispatcher.in_flight or self.scheduler.in_flight) and self._session and time.monotonic() < deadline:  # noqa: ASYNC110  # once
            await asyncio.sleep(0.005)
        await self.jobs.end(deadline)
        if self._session is not None and self._session.commands.open:
            try:
                async with asyncio.timeout(2):
                    await leave(self._session)
            except (exceptions.RedisError, TimeoutError) as error:
                log.warning("the lease could not be given back: %s", error)

    async def _sessions(self) -> None:
        wait_s, told = RETRY_FIRST_S, ""
        while True:
            try:
                self._session = await Session.open(self)
                await self._prepare(self._session)
                log.info("connected to %s", server.redacted(self.url))
                told, wait_s = "", RETRY_FIRST_S
                await self._session.run()
            except SessionEndedError as ended:
                log.warning("%s; connecting again", ended)
            except exceptions.RedisError as error:
                said = str(server.named(error, self.url) or error)
                if "busy with a script" in said:
                    await Watchdog(self.url, self.keys, self.dispatcher.numbering).look()
                if said != told:
                    log.warning("%s; trying again", said)
                told = said
                wait_s = min(wait_s * 2, RETRY_LONGEST_S)
            self._session, self._listening, self.unheard = None, False, 0
            await asyncio.sleep(wait_s)

    async def _prepare(self, session: Session) -> None:
        await session.commands.call("HSET", self.keys.events, "limit", self._executions_limit)

    def _stale(self) -> None:
        if self._session is not None:
            self._session.rebind()

    def _broken(self) -> None:
        """The epoch is another: a tick brings everybody together."""
        session = self._session
        if session is not None and time.monotonic() - self._mended > MEND_EVERY_S:
            self._mended = time.monotonic()
            self._spawn(session.commands.call(*session.function("tick", 1, 1)))

    def _unregistered(self, source: Source) -> None:
        if self._session is not None:
            self._session.coverage.mend(source)

    def pause(self, name: bytes) -> None:
        """Stops a sproc's triggers: it ran past its timeout too often."""
        said = "%s ran past its timeout three times in a row: paused; luasprocs resume starts it again"
        log.error(said, name.decode("utf-8", "replace"))
        if self._session is not None:
            self._spawn(self._paused(self._session, name))

    async def _paused(self, session: Session, name: bytes) -> None:
        for words in pausing(self.keys, name):
            await session.commands.call(*words)

    def _spawn(self, call: Any) -> None:
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("a call failed: %s", task.exception())
