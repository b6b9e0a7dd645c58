"""The daemon: its identity, its worker processes, and the shards that it serves. One server is one shard."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from luasprocs.runtime.identity import Identity
from luasprocs.runtime.link import Address
from luasprocs.runtime.pool import Pool
from luasprocs.runtime.shard import Shard
from luasprocs.runtime.shard_state import ShardState
from luasprocs.runtime.upkeep import Retention
from luasprocs.runtime.workers import WorkerRules, WorkerSetup
from luasprocs.runtime.workload import Workload
from luasprocs.server.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys


class Daemon:
    """Runs sprocs on events, schedules and demand, until `stop`. `schedules`: whether it runs schedules, too."""

    def __init__(
        self,
        url: str,
        keys: Keys,
        retention: Retention | None = None,
        workers: WorkerRules | None = None,
        *,
        schedules: bool = True,
    ) -> None:
        self.identity = Identity.of_process()
        db = Endpoint.of(url).db
        self._pool = Pool(WorkerSetup(url, keys.namespace, db, self.identity.id, workers or WorkerRules()))
        self._ready: Callable[[], None] = lambda: None
        address = Address(url, keys, db)
        state = ShardState(Workload(self._pool), schedules)
        self._shards = (Shard(address, self.identity, state, retention or Retention(), self._hears),)

    def on_ready(self, ready: Callable[[], None]) -> None:
        """Registers a callback: called when the daemon listens to all shards, and again after each reconnection."""
        self._ready = ready

    @property
    def listening(self) -> bool:
        """Whether all shards listen."""
        return all(shard.listening for shard in self._shards)

    @property
    def status(self) -> str:
        """A short text for service managers."""
        if self.listening:
            return f"listening, lag {sum(shard.state.numbering.lag for shard in self._shards)}"
        return f"waiting for {'a sync' if any(shard.unsynced for shard in self._shards) else 'the server'}"

    def info(self) -> dict[str, int]:
        """Counters for metrics, summed over all shards."""
        total: Counter[str] = Counter()
        for shard in self._shards:
            total.update(shard.state.info())
        return dict(total)

    def stop(self) -> None:
        """Begins no new work; `run` returns when the work under way has ended."""
        for shard in self._shards:
            shard.stop()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(shard.run())
        await self._pool.close()

    def _hears(self) -> None:
        if self.listening:
            self._ready()
