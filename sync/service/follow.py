"""Keeps a registry equal to what a source wants: looks when something moved, applies or says why not, tries again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from watchfiles import awatch

from luasprocs.errors import LuasprocsError
from luasprocs.server.connection import connect, errors_named, named
from luasprocs.server.registry import Registry
from sync.service.look import Look, Looker
from sync.service.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from luasprocs.contract.keys import Keys
    from sync.service.look import Rules
    from sync.service.sources import Source, Watched

log = logging.getLogger("luasprocs.daemon")

RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = {"redis": 1.0, "git": 300.0}
"""A server that is back is noticed within two seconds; a remote is not to be pestered."""
SETTLE_S = 0.005
"""What moves together (a ref and its log, a file saved by an editor) is looked at together."""
AGAIN_S = 0.2
GIVE_UP_AFTER_S = 3.0
"""A remote that says nothing is not waited for when the service ends."""
END_WITHIN_S = 10.0
"""For a look that is under way when the service ends."""
JITTER = 0.25


@dataclass(frozen=True, slots=True)
class SyncHealth:
    """For probes. Times are unix seconds, 0.0 for never; `connected`: the registry is watched right now.

    `syncs`: how many were applied; `failures`: looks that failed; `last_ms`: how long the last apply took.
    """

    look: Look | None = None
    last_success: float = 0.0
    last_look: float = 0.0
    connected: bool = False
    syncs: int = 0
    failures: int = 0
    last_ms: int = 0
    fetches: int = 0


class Follower:
    """Follows one source. `run` until `stop`; `wake` looks now."""

    def __init__(self, url: str, keys: Keys, source: Source, rules: Rules, daemon: str, interval_s: float) -> None:
        self.connected = False
        self._health = SyncHealth()
        self._url, self._keys, self._source, self._interval_s = url, keys, source, interval_s
        self._client = connect(url)
        self._looker = Looker(Registry(self._client, keys), source, rules, daemon)
        self._woken = asyncio.Event()
        self._looked = asyncio.Event()
        self._stop = asyncio.Event()
        self._fetch = True
        self._failed = 0
        self._failing = ""
        self._told: tuple[str, str] = ("", "")
        self._on_look: Callable[[Look], None] = lambda _: None

    @property
    def health(self) -> SyncHealth:
        """As it is now."""
        return replace(self._health, connected=self.connected)

    def on_look(self, heard: Callable[[Look], None]) -> None:
        """`heard` is called after each look, in the loop's thread."""
        self._on_look = heard

    def wake(self, *, fetch: bool = False) -> None:
        """Something may have moved; `fetch`: at the remote."""
        self._fetch = self._fetch or fetch
        self._woken.set()

    def stop(self) -> None:
        """`run` returns when the look under way has ended."""
        self._stop.set()
        self._woken.set()

    async def once(self) -> Look:
        """Fetches and looks one time."""
        return await asyncio.to_thread(self._look)

    async def run(self) -> None:
        """Until `stop`. Failures are told and tried again."""
        watchers = [asyncio.create_task(self._watch_registry()), asyncio.create_task(self._watch_files())]
        under_way: asyncio.Task[Look] = asyncio.create_task(asyncio.sleep(0, Look.failed("redis", "")))
        try:
            while not self._stop.is_set():
                self._woken.clear()
                under_way = asyncio.create_task(asyncio.to_thread(self._look))
                look = await self._ended(under_way)
                self._looked.set()
                self._tell(look)
                self._on_look(look)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._rest_s(look)):
                        await self._woken.wait()
                await asyncio.sleep(SETTLE_S)
        finally:
            for watcher in watchers:
                watcher.cancel()
            # A thread that reads from a connection which another one closes may read for ever.
            await asyncio.wait((*watchers, under_way), timeout=END_WITHIN_S)
            if under_way.done():
                self._client.close()

    async def _ended(self, under_way: asyncio.Task[Look]) -> Look:
        """A look, when it has ended; what it waits for at the remote is given up soon after a stop."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((under_way, stopped), return_when=asyncio.FIRST_COMPLETED)
            while not under_way.done():
                await asyncio.wait((under_way,), timeout=GIVE_UP_AFTER_S)
                self._source.give_up()
            return await asyncio.shield(under_way)
        finally:
            stopped.cancel()

    def _look(self) -> Look:
        """In a thread: one look, and what health says of it."""
        fetch, self._fetch = self._fetch, False
        started = time.monotonic()
        try:
            with errors_named(self._url):
                look = self._looker.look(fetch=fetch)
        except RedisError as error:
            look = Look.failed("redis", str(named(error, self._url) or error))
        except LuasprocsError as error:
            look = Look.failed("redis", str(error))
        now = time.time()
        health = replace(self._health, look=look, last_look=now, fetches=self._health.fetches + fetch)
        if look.failing:
            self._fetch = self._fetch or fetch
            health = replace(health, failures=health.failures + 1)
        else:
            health = replace(health, last_success=now)
        if look.applied:
            took_ms = round((time.monotonic() - started) * 1000)
            health = replace(health, syncs=health.syncs + 1, last_ms=took_ms)
        self._health = health
        return look

    def _rest_s(self, look: Look) -> float:
        """Until the next look that nothing woke."""
        if look.failing:
            self._failed = self._failed + 1 if look.failing == self._failing else 1
            self._failing = look.failing
            rest_s: float = min(RETRY_LONGEST_S[look.failing], RETRY_FIRST_S * 2 ** min(self._failed - 1, 20))
            return rest_s * random.uniform(1 - JITTER, 1)  # noqa: S311  # no secret
        self._failed, self._failing = 0, ""
        if look.again:
            return AGAIN_S
        self._fetch = True
        return self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    def _tell(self, look: Look) -> None:
        """What is new since the last look, once."""
        state, reason = look.state.state, look.state.reason
        if look.applied:
            log.info("synced: %s", look.summary)
        elif (state, reason) != self._told and reason:
            problems = look.state.problems if state == "refused" else ()
            for said in problems or (reason,):
                log.warning("%s: %s", state, said)
        elif self._told[1] and not reason and state == "synced":
            log.info("in sync again")
        self._told = (look.state.state, look.state.reason)

    async def _watch_registry(self) -> None:
        """As long as nobody is heard, everything may have changed."""

        def ready() -> None:
            self.connected = True
            self._looker.doubt()
            self.wake()

        def changed(keys: list[bytes] | None) -> None:
            if self._looker.heard(keys):
                self.wake()

        while True:
            with contextlib.suppress(RedisError, OSError):
                await watch(self._url, self._keys, ready, changed)
            self.connected = False
            self._looker.doubt()
            await asyncio.sleep(RETRY_FIRST_S)

    async def _watch_files(self) -> None:
        """Folders of the source; anew when they are others (a folder that was removed and made again is another)."""
        while True:
            watched = await asyncio.to_thread(self._source.watched)
            places, stop = _places(watched), asyncio.Event()
            tasks = [
                asyncio.create_task(self._watch(paths, stop, names))
                for paths, names in ((watched.alone, watched.names), (watched.whole, None))
                if paths
            ]
            try:
                while places == _places(await asyncio.to_thread(self._source.watched)):
                    await self._looked.wait()
                    self._looked.clear()
            finally:
                stop.set()
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)

    async def _watch(self, paths: Iterable[Path], stop: asyncio.Event, names: frozenset[str] | None) -> None:
        """`names`: of what matters in these folders; None: all that is below them."""

        def matters(_: object, path: str) -> bool:
            return not path.endswith(".lock") and (names is None or os.path.basename(path) in names)  # noqa: PTH119  # often

        try:
            async for _ in awatch(
                *paths,
                watch_filter=matters,
                debounce=40,
                step=20 if names is None else 50,
                stop_event=stop,
                recursive=names is None,
            ):
                self.wake()
        except (OSError, RuntimeError) as error:
            log.warning("%s can't be watched: %s; looking every %d s", self._source.name, error, self._interval_s)


def _places(watched: Watched) -> list[tuple[str, int]]:
    """Folders with their inodes."""
    paths = [path for path in (*watched.alone, *watched.whole) if path.exists()]
    return [(str(path), path.stat().st_ino) for path in paths]
