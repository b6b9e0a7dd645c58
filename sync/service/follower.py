"""Keeps a registry equal to a source: reconciles when either of them changes, logs news, retries failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.contract.codes import DesiredState
from luasprocs.errors import LuasprocsError
from luasprocs.runtime.log import log
from luasprocs.server.errors import errors_named, named
from luasprocs.server.fleet import LOOK_EVERY_S, Fleet
from luasprocs.state.desired import promise_to_look, stop_following
from sync.service.apart import apart, begun
from sync.service.backoff import JITTER, RETRY_FIRST_S, RETRY_LONGEST_S, Backoff
from sync.service.degraded import hanging, say_degraded
from sync.service.fetching import Fetching
from sync.service.file_watch import FileWatch
from sync.service.reconciler import Reconciler
from sync.service.reconciliation import Reconciliation
from sync.service.registry_watch import watch_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys
    from sync.service.rules import Rules
    from sync.service.sources import Source

SETTLE_S = 0.005
"""Changes that come together (a ref and its log, the steps of an editor's save) are reconciled once."""
AGAIN_S = 0.2
GIVE_UP_AFTER_S, AGAIN_AFTER_S = 3.0, 0.5
"""How long a silent remote is waited for when the service ends."""
END_WITHIN_S = 10.0
"""How long a reconciliation under way may take when the service ends."""
SLOW_S = 10.0
"""A reconciliation that takes longer makes what is known degraded, though nobody knows yet what becomes of it."""
LATE_INTERVALS, LATE_LEAST_S = 3, 60.0
"""A daemon that hasn't looked for so many intervals, or so long if that is more, no longer follows git."""


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

    def after(self, done: Reconciliation, *, took_ms: int) -> SyncHealth:
        """The health after one more reconciliation."""
        return replace(
            self,
            last=done,
            last_success=self.last_success if done.failing else time.time(),
            syncs=self.syncs + done.applied,
            heals=self.heals + bool(done.healed),
            failures=self.failures + bool(done.failing),
            last_ms=took_ms if done.applied else self.last_ms,
        )


class Follower:
    """Follows one source. `run` until `stop`; `wake` reconciles now."""

    def __init__(self, url: str, keys: Keys, source: Source, rules: Rules, daemon: str, interval_s: float) -> None:
        self._health = SyncHealth()
        self._url, self._keys, self._source, self._interval_s = url, keys, source, interval_s
        self._rules, self._daemon = rules, daemon
        self._fleet = Fleet(url, keys.namespace)
        self._reconciler: Reconciler | None = None
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._watched: set[str] = set()
        self._files = FileWatch(source, self.wake, interval_s)
        self._fetching = Fetching(source, self.wake, interval_s)
        self._backoff = Backoff()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._told: tuple[str, str] = ("", "")
        self._slow, self._left = "", False
        self._on_reconciled: Callable[[Reconciliation], None] = lambda _: None

    @property
    def connected(self) -> bool:
        """Whether changes of the registry are heard of at once, on each shard."""
        return bool(self._watches) and self._watched == self._watches.keys()

    @property
    def health(self) -> SyncHealth:
        last = self._health.last
        if self._slow:
            last = last.without_fetch(self._slow) if last else Reconciliation.failed("git", self._slow)
        return replace(self._health, last=last, connected=self.connected, fetches=self._fetching.seen.ended)

    def on_reconciled(self, heard: Callable[[Reconciliation], None]) -> None:
        """Registers a callback: called after each reconciliation, in the loop's thread."""
        self._on_reconciled = heard

    def wake(self, *, fetch: bool = False) -> None:
        """Reconciles soon; `fetch`: after asking the remote."""
        if fetch:
            self._fetching.ask()
        else:
            self._woken.set()

    def stop(self) -> None:
        """Ends `run` after the reconciliation under way."""
        self._stop.set()
        self._woken.set()

    async def once(self) -> Reconciliation:
        """Fetches and reconciles once."""
        await self._fetching.once()
        return await apart(self._reconcile)

    async def run(self) -> None:
        """Runs until `stop`. Failures are logged and retried."""
        parts = (self._watch_shards(), self._files.run(), self._fetching.run())
        watchers = [asyncio.create_task(part) for part in parts]
        under_way: asyncio.Task[Reconciliation] | None = None
        try:
            await self._first_fetch()
            while not self._stop.is_set():
                self._woken.clear()
                under_way = asyncio.create_task(apart(self._looked))
                if (done := await self._ended(under_way)) is None:
                    log.warning("a check of git and Redis does not end: it is left to the next daemon")
                    self._left = True
                    return
                self._files.reconciled()
                self._tell(done)
                self._on_reconciled(done)
                if self._reconciler and self._reconciler.wants_fetch(self._fetching.seen):
                    self._fetching.ask()
                for watcher in (*watchers, *self._watches.values()):
                    if watcher.done():
                        watcher.result()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s(done)):
                        await self._woken.wait()
                await asyncio.sleep(SETTLE_S)
        finally:
            for watcher in (*watchers, *self._watches.values()):
                watcher.cancel()
            waits = (*watchers, *self._watches.values(), *((under_way,) if under_way and not self._left else ()))
            await asyncio.wait(waits, timeout=END_WITHIN_S)
            # If a connection is closed while another thread reads from it, that read may never return.
            if under_way is None or under_way.done():
                if self._reconciler and (last := self._health.last) and last.failing != "redis":
                    with contextlib.suppress(RedisError):
                        stop_following(self._reconciler.registry)
                self._fleet.close()

    async def _first_fetch(self) -> None:
        """Waits for it, unless it takes long or `stop` comes."""
        waits = [asyncio.create_task(self._fetching.first()), asyncio.create_task(self._stop.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()

    async def _ended(self, under_way: asyncio.Task[Reconciliation]) -> Reconciliation | None:
        """Waits for a reconciliation; after a stop, gives up on a silent remote, and on a git that hangs: None."""
        stopped = asyncio.create_task(self._stop.wait())
        slow = asyncio.get_running_loop().call_later(SLOW_S, self._is_slow)
        try:
            await asyncio.wait((under_way, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not under_way.done():
                await asyncio.wait((under_way,), timeout=GIVE_UP_AFTER_S)
            deadline_s = time.monotonic() + END_WITHIN_S - GIVE_UP_AFTER_S
            while not under_way.done():
                self._source.give_up()
                await asyncio.wait((under_way,), timeout=AGAIN_AFTER_S)
                applies = self._reconciler and self._reconciler.applying
                if not under_way.done() and (not applies or time.monotonic() > deadline_s):
                    return None
            return await asyncio.shield(under_way)
        finally:
            stopped.cancel()
            slow.cancel()
            self._slow = ""

    def _is_slow(self) -> None:
        self._slow = f"a check of git and Redis has not ended for {SLOW_S:.0f} s: what is live stays"
        if self._reconciler and self._reconciler.asks_git:
            self._slow = why = hanging(time.time() - SLOW_S)
            begun(lambda: say_degraded(self._url, self._keys, why, self._daemon))
        log.warning("%s: %s", DesiredState.DEGRADED, self._slow)

    def _looked(self) -> Reconciliation:
        """Reconciles, and promises when it will again: a daemon that only syncs has no heartbeat."""
        done = self._reconcile()
        if self._reconciler and done.failing != "redis" and done.elsewhere is None:
            with contextlib.suppress(RedisError):
                within_s = max(LATE_LEAST_S, LATE_INTERVALS * self._interval_s)
                promise_to_look(self._reconciler.registry, within_s + RETRY_LONGEST_S.get(done.failing, 0.0))
        return done

    def _reconcile(self) -> Reconciliation:
        """Reconciles once, in a thread, and updates the health."""
        started_s = time.monotonic()
        try:
            with errors_named(self._url):
                done = self._reconciler_now().reconcile(self._fetching.seen)
        except RedisError as error:
            done = Reconciliation.failed("redis", str(named(error, self._url) or error))
        except LuasprocsError as error:
            done = Reconciliation.failed("redis", str(error))
        self._health = self._health.after(done, took_ms=round((time.monotonic() - started_s) * 1000))
        return done

    def _reconciler_now(self) -> Reconciler:
        """Of the registry as it is; in a cluster its shards come and go. Raises redis.RedisError."""
        registry = self._fleet.registry()
        if self._reconciler is None or self._reconciler.registry is not registry:
            self._reconciler = Reconciler(registry, self._source, self._rules, self._daemon)
        return self._reconciler

    def _rest_s(self, done: Reconciliation) -> float:
        """Seconds until the next reconciliation, unless something wakes it."""
        rest_s = self._backoff.after(done.failing)
        if done.failing == "redis" or (done.failing and not self._fetching.seen.late):  # else the next fetch wakes it
            return rest_s * random.uniform(1 - JITTER, 1)  # noqa: S311  # no secret
        if done.again:
            return AGAIN_S
        return self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    def _tell(self, done: Reconciliation) -> None:
        """Logs what is new since the last time."""
        state, reason = done.state.state, done.state.reason
        if done.healed:
            log.warning("repaired: %s", ", ".join(done.healed))
        if done.applied:
            log.info("synced: %s", done.summary)
        elif (state, reason) != self._told and reason:
            problems = done.state.problems if state == DesiredState.REFUSED else ()
            level = logging.INFO if state == DesiredState.APPLYING else logging.WARNING  # two daemons may sync at once
            for said in problems or (reason,):
                log.log(level, "%s: %s", state, said)
        elif self._told[1] and not reason and state == DesiredState.SYNCED:
            log.info("in sync again")
        self._told = (state, reason)

    async def _watch_shards(self) -> None:
        """Watches each shard, and where what is no single shard's stands."""
        while True:
            with contextlib.suppress(RedisError):
                self._watch(await asyncio.to_thread(self._fleet.places))
            if self._watches and self._fleet.cluster is None:
                return  # of a single server nothing comes or goes
            await asyncio.sleep(RETRY_FIRST_S if not self._watches else LOOK_EVERY_S)

    def _watch(self, places: dict[str, Keys]) -> None:
        if self._watches and places.keys() != self._watches.keys():
            self.wake()  # a shard has come or gone
        for url in self._watches.keys() - places.keys():
            self._watches.pop(url).cancel()
            self._watched.discard(url)
        for url in places.keys() - self._watches.keys():
            self._watches[url] = asyncio.create_task(self._watch_registry(url, places[url]))

    async def _watch_registry(self, url: str, keys: Keys) -> None:
        """Watches a registry's keys. While the connection is down, anything may change unnoticed."""

        def ready() -> None:
            self._watched.add(url)
            self._doubt()
            self.wake()

        def changed(keys: list[bytes] | None) -> None:
            if self._reconciler is None or self._reconciler.heard(keys):
                self.wake()

        while True:
            with contextlib.suppress(RedisError, OSError):
                await watch_registry(url, keys, ready, changed)
            self._watched.discard(url)
            self._doubt()
            await asyncio.sleep(RETRY_FIRST_S)

    def _doubt(self) -> None:
        if self._reconciler is not None:
            self._reconciler.doubt()
