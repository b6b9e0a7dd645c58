"""The daemon as one service: sync and runtime side by side; each can fail and restart without the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from luasprocs.contract.codes import DesiredState
from luasprocs.errors import SettingsError
from luasprocs.runtime.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.daemon import Daemon
    from sync.service.follower import Follower
    from sync.service.reconciliation import Reconciliation

GIT_WITHIN_S = 10.0
"""So long git may keep the service from being ready: what is live runs without it."""
RESTART_S = 1.0
"""The delay after an unexpected failure."""


class Part(Protocol):
    """A part of the service."""

    async def run(self) -> None:
        """Runs until `stop`."""

    def stop(self) -> None:
        """Ends `run` after the work under way."""


class Supervisor:
    """Runs its parts. `name`: the daemon's.

    Ready when the runtime listens and the sync has reconciled once; git that takes long is not waited for.

    It ends if another namespace is to be served, which is `elsewhere` then.
    """

    def __init__(self, runtime: Daemon | None, follower: Follower | None, name: str = "") -> None:
        self.runtime, self.follower, self.name = runtime, follower, name
        self.elsewhere: str | None = None
        self._parts: list[Part] = [part for part in (runtime, follower) if part is not None]
        self._waiting = {part for part in (runtime, follower) if part is not None}
        self._running: list[Part] = []
        self._group: asyncio.TaskGroup | None = None
        self._ready: Callable[[], None] = lambda: None
        self._stopping = False
        if runtime is not None:
            runtime.on_ready(lambda: self._arrived(runtime))
        if follower is not None:
            follower.on_reconciled(lambda done: self._reconciled(done, follower))

    def follow(self, follower: Follower) -> None:
        """Syncs, too, from now on: while it runs."""
        self.follower = follower
        follower.on_reconciled(lambda done: self._reconciled(done, follower))
        self.add(follower)
        if self._group is not None and not self._stopping:
            self._group.create_task(self._kept_running(follower))

    def add(self, part: Part) -> None:
        """Adds a part that readiness doesn't wait for."""
        self._parts.append(part)

    def on_ready(self, ready: Callable[[], None]) -> None:
        """Registers a callback: called when all parts are ready, and again when the runtime has reconnected."""
        self._ready = ready

    @property
    def ready(self) -> bool:
        """Whether all parts have been ready once, and it is not about to end."""
        return not (self._waiting or self._stopping)

    @property
    def status(self) -> str:
        """A short text for service managers."""
        health = self.follower.health if self.follower else None
        said: tuple[str, ...] = ()
        if health and health.last:
            state = health.last.state
            said = (
                f"{state.state} {state.commit[:10]}".strip() if health.connected else str(DesiredState.UNREACHABLE),
            )
        return ", ".join((*said, *((self.runtime.status,) if self.runtime else ())))

    @property
    def under_way(self) -> str:
        """What has not ended yet: the runtime's work, or else the parts of the service."""
        work = self.runtime.under_way if self.runtime else ""
        return work or ", ".join(type(part).__name__.lower() for part in self._running)

    async def run(self) -> None:
        """Runs until `stop`."""
        patience = asyncio.get_running_loop().call_later(GIT_WITHIN_S, self._arrived, self.follower)
        try:
            async with asyncio.TaskGroup() as self._group:
                for part in self._parts:
                    self._group.create_task(self._kept_running(part))
        finally:
            patience.cancel()

    def stop(self) -> None:
        """Begins no new work; `run` returns when the work under way has ended."""
        self._stopping = True
        for part in self._parts:
            part.stop()

    async def _kept_running(self, part: Part) -> None:
        self._running.append(part)
        while True:
            try:
                await part.run()
            except SettingsError:
                raise  # it will not get better by itself
            except Exception:
                if self._stopping:
                    raise
                log.exception("%s failed; it starts again", type(part).__name__.lower())
                await asyncio.sleep(RESTART_S)
            else:
                self._running.remove(part)
                return

    def _arrived(self, part: object) -> None:
        was_waiting = bool(self._waiting)
        self._waiting.discard(part)
        if not self._waiting and (was_waiting or part is self.runtime):
            self._ready()

    def _reconciled(self, done: Reconciliation, follower: Follower) -> None:
        if done.elsewhere is not None:
            log.warning("luasprocs.toml says namespace %r: that one is served from now on", done.elsewhere)
            self.elsewhere = done.elsewhere
            self.stop()
        if done.failing != "redis" and follower in self._waiting:
            self._arrived(follower)
