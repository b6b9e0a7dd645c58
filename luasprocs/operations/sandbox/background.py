"""A daemon in a thread of this process: it runs sprocs on events and jobs, and leaves schedules alone."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Allow
from luasprocs.errors import WaitError
from luasprocs.runtime.daemon import Daemon
from luasprocs.runtime.workers import WorkerRules

if TYPE_CHECKING:
    from pathlib import Path

    from luasprocs.contract.keys import Keys

WORKERS = 2
READY_WITHIN_S = 30.0


class BackgroundDaemon:
    """Started by its constructor, until `stop`. `folder`: where async sprocs work.

    Raises:
        WaitError: it does not hear the server.
    """

    def __init__(self, url: str, keys: Keys, folder: Path) -> None:
        self._url, self._keys, self._folder = url, keys, folder
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._daemon: Daemon | None = None
        self._thread = threading.Thread(target=self._serve, name="luasprocs-sandbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(READY_WITHIN_S):
            self.stop()
            raise WaitError(f"the sandbox's daemon does not hear the server within {READY_WITHIN_S:.0f} s")

    @property
    def read(self) -> int:
        """How many events it has read."""
        return self._counters["read"]

    @property
    def lag(self) -> int:
        """How many of them have not run yet."""
        return self._counters["lag"]

    @property
    def _counters(self) -> dict[str, int]:
        return self._daemon.info() if self._daemon else {"read": 0, "lag": 0}

    def stop(self) -> None:
        """Ends it when what runs has ended."""
        if self._loop is not None and self._daemon is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._daemon.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        # They are confined where the kernel has Landlock; a test runs what it runs anywhere.
        rules = WorkerRules(count=WORKERS, folder=self._folder, allow=(Allow.UNCONFINED,))
        self._daemon = Daemon(self._url, self._keys, workers=rules, schedules=False)
        self._daemon.on_ready(self._ready.set)
        await self._daemon.run()
