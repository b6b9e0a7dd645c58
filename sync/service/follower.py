"""Keeps a registry equal to a source: reconciles when either of them changes, logs news, retries failures."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.contract.codes import DesiredState
from luasprocs.errors import LuasprocsError
from luasprocs.runtime.log import log
from luasprocs.server.connection import connect
from luasprocs.server.errors import errors_named, named
from luasprocs.server.registry import Registry
from sync.service.file_watch import FileWatch
from sync.service.reconciler import Reconciler
from sync.service.reconciliation import Reconciliation
from sync.service.registry_watch import watch_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys
    from sync.service.rules import Rules
    from sync.service.sources import Source

RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = {"redis": 1.0, "git": 300.0}
"""A server that is back is noticed within two seconds; a remote is asked less and less often."""
SETTLE_S = 0.005
"""Changes that come together (a ref and its log, the steps of an editor's save) are reconciled once."""
AGAIN_S = 0.2
GIVE_UP_AFTER_S = 3.0
"""How long a silent remote is waited for when the service ends."""
END_WITHIN_S = 10.0
"""How long a reconciliation under way may take when the service ends."""
JITTER = 0.25


@dataclass(frozen=True, slots=True)
class SyncHealth:
    """For probes. Times are unix seconds, 0.0 for never; `connected`: the registry is watched right now.

    `last`: the last reconciliation; `syncs`: how many were applied; `heals`: how many of these put right what was changed by
    hand; `failures`: how many failed; `last_ms`: how long the last apply took.
    """

    last: Reconciliation | None = None
    last_success: float = 0.0
    connected: bool = False
    syncs: int = 0
    heals: int = 0
    failures: int = 0
    last_ms: int = 0
    fetches: int = 0

    def after(self, done: Reconciliation, *, fetched: bool, took_ms: int) -> SyncHealth:
        """The health after one more reconciliation."""
        return replace(
            self,
            last=done,
            last_success=self.last_success if done.failing else time.time(),
            syncs=self.syncs + done.applied,
            heals=self.heals + bool(done.healed),
            failures=self.failures + bool(done.failing),
            last_ms=took_ms if done.applied else self.last_ms,
            fetches=self.fetches + fetched,
        )


class Backoff:
    """The delay after consecutive failures."""

    def __init__(self) -> None:
        self._failing, self._times = "", 0

    def after(self, failing: str) -> float:
        """The delay in seconds. `failing`: git, redis, or "" after a success, which resets it."""
        self._times = self._times + 1 if failing == self._failing else 1
        self._failing = failing
        grown_s: float = RETRY_FIRST_S * 2 ** min(self._times - 1, 20)
        return min(RETRY_LONGEST_S.get(failing, 0.0), grown_s)


class Follower:
    """Follows one source. `run` until `stop`; `wake` reconciles now."""

    def __init__(self, url: str, keys: Keys, source: Source, rules: Rules, daemon: str, interval_s: float) -> None:
        self.connected = False
        self._health = SyncHealth()
        self._url, self._keys, self._source, self._interval_s = url, keys, source, interval_s
        self._client = connect(url)
        self._reconciler = Reconciler(Registry(self._client, keys), source, rules, daemon)
        self._files = FileWatch(source, self.wake, interval_s)
        self._backoff = Backoff()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._fetch = True
        self._told: tuple[str, str] = ("", "")
        self._on_reconciled: Callable[[Reconciliation], None] = lambda _: None

    @property
    def health(self) -> SyncHealth:
        return replace(self._health, connected=self.connected)

    def on_reconciled(self, heard: Callable[[Reconciliation], None]) -> None:
        """Registers a callback: called after each reconciliation, in the loop's thread."""
        self._on_reconciled = heard

    def wake(self, *, fetch: bool = False) -> None:
        """Reconciles soon; `fetch`: asks the remote, too."""
        self._fetch = self._fetch or fetch
        self._woken.set()

    def stop(self) -> None:
        """Ends `run` after the reconciliation under way."""
        self._stop.set()
        self._woken.set()

    async def once(self) -> Reconciliation:
        """Fetches and reconciles once."""
        return await asyncio.to_thread(self._reconcile)

    async def run(self) -> None:
        """Runs until `stop`. Failures are logged and retried."""
        watchers = [asyncio.create_task(self._watch_registry()), asyncio.create_task(self._files.run())]
        under_way: asyncio.Task[Reconciliation] | None = None
        try:
            while not self._stop.is_set():
                self._woken.clear()
                under_way = asyncio.create_task(asyncio.to_thread(self._reconcile))
                done = await self._ended(under_way)
                self._files.reconciled()
                self._tell(done)
                self._on_reconciled(done)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s(done)):
                        await self._woken.wait()
                await asyncio.sleep(SETTLE_S)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.wait((*watchers, *((under_way,) if under_way else ())), timeout=END_WITHIN_S)
            # If a connection is closed while another thread reads from it, that read may never return.
            if under_way is None or under_way.done():
                self._client.close()

    async def _ended(self, under_way: asyncio.Task[Reconciliation]) -> Reconciliation:
        """Waits for a reconciliation; after a stop, gives up on a silent remote."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((under_way, stopped), return_when=asyncio.FIRST_COMPLETED)
            while not under_way.done():
                await asyncio.wait((under_way,), timeout=GIVE_UP_AFTER_S)
                self._source.give_up()
            return await asyncio.shield(under_way)
        finally:
            stopped.cancel()

    def _reconcile(self) -> Reconciliation:
        """Reconciles once, in a thread, and updates the health."""
        fetch, self._fetch = self._fetch, False
        started_s = time.monotonic()
        try:
            with errors_named(self._url):
                done = self._reconciler.reconcile(fetch=fetch)
        except RedisError as error:
            done = Reconciliation.failed("redis", str(named(error, self._url) or error))
        except LuasprocsError as error:
            done = Reconciliation.failed("redis", str(error))
        if done.failing:
            self._fetch = self._fetch or fetch
        took_ms = round((time.monotonic() - started_s) * 1000)
        self._health = self._health.after(done, fetched=fetch, took_ms=took_ms)
        return done

    def _rest_s(self, done: Reconciliation) -> float:
        """Seconds until the next reconciliation, unless something wakes it."""
        rest_s = self._backoff.after(done.failing)
        if done.failing:
            return rest_s * random.uniform(1 - JITTER, 1)  # noqa: S311  # no secret
        if done.again:
            return AGAIN_S
        self._fetch = True
        return self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    def _tell(self, done: Reconciliation) -> None:
        """Logs what is new since the last time."""
        state, reason = done.state.state, done.state.reason
        if done.healed:
            log.warning("repaired changes made by hand: %s", ", ".join(done.healed))
        if done.applied:
            log.info("synced: %s", done.summary)
        elif (state, reason) != self._told and reason:
            problems = done.state.problems if state == DesiredState.REFUSED else ()
            for said in problems or (reason,):
                log.warning("%s: %s", state, said)
        elif self._told[1] and not reason and state == DesiredState.SYNCED:
            log.info("in sync again")
        self._told = (state, reason)

    async def _watch_registry(self) -> None:
        """Watches the registry's keys. While the connection is down, anything may change unnoticed."""

        def ready() -> None:
            self.connected = True
            self._reconciler.doubt()
            self.wake()

        def changed(keys: list[bytes] | None) -> None:
            if self._reconciler.heard(keys):
                self.wake()

        while True:
            with contextlib.suppress(RedisError, OSError):
                await watch_registry(self._url, self._keys, ready, changed)
            self.connected = False
            self._reconciler.doubt()
            await asyncio.sleep(RETRY_FIRST_S)
