"""A source that can't be opened when a daemon starts: what is live runs without it, until it can."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from redis.exceptions import RedisError

from luasprocs.contract.codes import DesiredState
from luasprocs.contract.encoding import time_ms
from luasprocs.errors import RepositoryError
from luasprocs.runtime.log import log
from luasprocs.server.fleet import open_registry
from luasprocs.state.desired import SyncState, publish, read_sync_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys

T = TypeVar("T")

EVERY_S = 2.0


class Awaited(Generic[T]):
    """A part of the service: tries again to open a source, and says meanwhile that git can't be read.

    `found`: what it was opened with, once it is; then `opened` is called. `why`: why it can't be.
    """

    def __init__(self, url: str, keys: Keys, open_source: Callable[[], T], why: str) -> None:
        self.found: T | None = None
        self.opened: Callable[[], None] = lambda: None
        self.daemon = ""
        self._url, self._keys, self._open, self._why = url, keys, open_source, why
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Runs until the source is open, or `stop`."""
        log.warning("%s: %s; what is live runs without git", DesiredState.DEGRADED, self._why)
        said = False
        while not self._stop.is_set():
            said = said or await asyncio.to_thread(self._say)
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._stop.wait()
            except TimeoutError:
                if await asyncio.to_thread(self._opens):
                    self.opened()
                    return

    def stop(self) -> None:
        self._stop.set()

    def _opens(self) -> bool:
        try:
            self.found = self._open()
        except RepositoryError:
            return False
        return True

    def _say(self) -> bool:
        """Publishes it, unless another daemon follows git. Returns whether it could."""
        registry = None
        try:
            registry = open_registry(self._url, self._keys.namespace)
            if read_sync_state(registry).followed_until_ms > time_ms(registry.home.client.time()):
                return False
            publish(
                registry, SyncState(state=DesiredState.DEGRADED, reason=self._why, at=time.time(), daemon=self.daemon)
            )
        except RedisError:
            return False
        finally:
            for one in {*registry.shards, registry.home} if registry else ():
                one.client.close()
        return True
