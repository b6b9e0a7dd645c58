"""A source that can't be opened when a daemon starts: what is live runs without it, until it can."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from luasprocs.contract.codes import DesiredState
from luasprocs.errors import RepositoryError
from luasprocs.runtime.log import log
from sync.service.apart import begun
from sync.service.degraded import hanging, say_degraded

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys
    from sync.service.supervisor import Supervisor

T = TypeVar("T")

EVERY_S = 2.0
LOOK_S = 0.1
HANGS_AFTER_S = 5.0


class Opening(Generic[T]):
    """One try to open a source; git may never answer."""

    def __init__(self, open_source: Callable[[], T]) -> None:
        self.since_s = time.time()
        self.future: Future[T] = begun(open_source)

    @property
    def hangs(self) -> str:
        """That git hangs, and since when; "" as long as nobody can say so."""
        if self.future.done() or time.time() < self.since_s + HANGS_AFTER_S:
            return ""
        return hanging(self.since_s)


class Awaited(Generic[T]):
    """A part of the service: tries again to open a source, and says meanwhile that git can't be read.

    `opening`: a try that is under way; `follows`: whether the state of the sync is this daemon's to say. `opened`: gets
    what it was opened with; unless it says that the supervisor goes on with that, it is `found`, and the supervisor stops.
    `why`: why it can't be opened.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        open_source: Callable[[], T],
        why: str,
        opening: Opening[T] | None = None,
        *,
        follows: bool = True,
    ) -> None:
        self.found: T | None = None
        self.opened: Callable[[Supervisor, T], bool] = lambda _, __: False
        self.supervisor: Supervisor | None = None
        self._url, self._keys, self._open, self._why = url, keys, open_source, why
        self._opening = opening
        self._follows, self._said = follows, ""
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Runs until the source is open, or `stop`."""
        logged = ""
        while not self._stop.is_set():
            if logged != self._why:
                log.warning("%s: %s; what is live runs without git", DesiredState.DEGRADED, self._why)
                logged = self._why
            if self._follows and self._said != self._why:
                await asyncio.to_thread(self._say)
            if self._opens():
                return
            try:
                async with asyncio.timeout(LOOK_S if self._opening else EVERY_S):
                    await self._stop.wait()
            except TimeoutError:
                self._opening = self._opening or Opening(self._open)

    def stop(self) -> None:
        self._stop.set()

    def _opens(self) -> bool:
        """Looks how the try under way goes."""
        if self._opening is None:
            return False
        if not self._opening.future.done():
            self._why = self._opening.hangs or self._why
            return False
        ended, self._opening = self._opening.future, None
        try:
            found = ended.result()
        except RepositoryError as error:
            self._why = str(error)
            return False
        if self.supervisor is not None and not self.opened(self.supervisor, found):
            self.found = found
            self.supervisor.stop()
        return True

    def _say(self) -> None:
        """Publishes it, unless another daemon follows git."""
        if say_degraded(self._url, self._keys, self._why, self.supervisor.name if self.supervisor else ""):
            self._said = self._why
