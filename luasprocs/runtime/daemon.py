"""The daemon: its identity, its worker processes, and the shards that it serves. One server is one shard."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.limits import LISTENERS
from luasprocs.language.values import some_of
from luasprocs.runtime.identity import Identity
from luasprocs.runtime.link import Address
from luasprocs.runtime.log import log
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.pausing import pause
from luasprocs.runtime.pool import Pool
from luasprocs.runtime.shard import RETRY_FIRST_S, RETRY_LONGEST_S, Shard
from luasprocs.runtime.shard_state import ShardState
from luasprocs.runtime.upkeep import Retention
from luasprocs.runtime.witness import Witnesses
from luasprocs.runtime.workers import WorkerRules, WorkerSetup
from luasprocs.runtime.workload import Workload
from luasprocs.server.cluster import Topology
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.errors import named
from luasprocs.server.fleet import LOOK_EVERY_S, Fleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys

GOSSIP_S = 2.0
"""How old a node's view of its cluster may be."""


class Daemon:
    """Runs sprocs on events, schedules and demand, until `stop`.

    `schedules`: whether it runs schedules, too; `listeners`: how many daemons hear each shard.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        retention: Retention | None = None,
        workers: WorkerRules | None = None,
        *,
        schedules: bool = True,
        listeners: int = LISTENERS,
    ) -> None:
        self.identity = Identity.of_process()
        self._url, self._fleet, self._schedules, self._listeners = url, Fleet(url, keys.namespace), schedules, listeners
        self._retention, self._rules = retention or Retention(), workers or WorkerRules()
        self._ready: Callable[[], None] = lambda: None
        self._shards: dict[Keys, tuple[Shard, asyncio.Task[None]]] = {}
        self._topology, self._witnesses = Topology(LOOK_EVERY_S), Witnesses()
        self._past: Counter[str] = Counter()
        self._looked_ms = 0
        self._said = LogOnce()
        self._stop = asyncio.Event()

    def on_ready(self, ready: Callable[[], None]) -> None:
        """Registers a callback: called when the daemon listens to all shards, and again after each reconnection."""
        self._ready = ready

    @property
    def listening(self) -> bool:
        """Whether all shards listen."""
        return bool(self._shards) and all(shard.listening for shard, _ in self._shards.values())

    @property
    def status(self) -> str:
        """A short text for service managers."""
        shards = [shard for shard, _ in self._shards.values()]
        if self.listening:
            return f"listening, lag {sum(shard.state.numbering.lag for shard in shards)}"
        return f"waiting for {'a sync' if any(shard.unsynced for shard in shards) else 'the server'}"

    @property
    def under_way(self) -> str:
        """What has not ended yet: async runs by their sprocs, and calls of the server."""
        shards = [shard for shard, _ in self._shards.values()]
        names = [name for shard in shards for name in shard.state.workload.names]
        calls = sum(shard.in_flight for shard in shards)
        return ", ".join((*([some_of(names)] if names else ()), *([f"calls of the server: {calls}"] if calls else ())))

    def info(self) -> dict[str, int]:
        """Counters for metrics, summed over all shards."""
        total = Counter(self._past)
        for shard, _ in self._shards.values():
            total.update(shard.state.info())
        return dict(total)

    def stop(self) -> None:
        """Begins no new work; `run` returns when the work under way has ended."""
        self._stop.set()
        for shard, _ in self._shards.values():
            shard.stop()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve(group)
        finally:
            self._fleet.close()
            self._witnesses.close()

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        """Serves all shards that there are; in a cluster they come and go."""
        wait_s, watch = RETRY_FIRST_S, None
        while not self._stop.is_set():
            try:
                found = await asyncio.to_thread(self._fleet.shards, self._topology.seen)
            except exceptions.RedisError as error:
                self._said.say("connection", f"{named(error, self._url) or error}; trying again")
                wait_s = min(wait_s * 2, RETRY_LONGEST_S)
            else:
                self._said.forget("connection")
                self._change(group, found)
                self._looked_ms = round((self._fleet.began_s - GOSSIP_S) * 1000)
                if not any(keys.tag for keys in found):
                    return
                watch = watch or group.create_task(self._topology.watch(self._cluster, self._looked))
                wait_s = LOOK_EVERY_S
            await self._rest(wait_s)
        if watch:
            watch.cancel()

    def _cluster(self) -> str:
        return self._fleet.cluster or self._url

    def _looked(self, error: exceptions.RedisError | None) -> None:
        if error:
            self._said.say("cluster", f"{named(error, self._url) or error}; trying again")
        else:
            self._said.forget("cluster")

    async def _rest(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _change(self, group: asyncio.TaskGroup, found: dict[Keys, str]) -> None:
        """Begins with shards that have come, and ends with those that have gone."""
        came_ms = self._looked_ms
        for keys in self._shards.keys() - found.keys():
            shard, _ = self._shards.pop(keys)
            if shard.state.came_ms:  # nothing was synced there yet: with more slots its primary would take another tag
                came_ms = min(came_ms, shard.state.came_ms)
            log.info("shard %s is served no more", keys.tag)
            shard.stop()
            self._past.update(
                {name: value for name, value in shard.state.info().items() if name not in {"lag", "jobs"}}
            )
        for keys in found.keys() - self._shards.keys():
            if self._stop.is_set():
                return
            shard = self._shard(found[keys], keys, came_ms)
            self._shards[keys] = (shard, group.create_task(self._run(shard)))

    def _shard(self, url: str, keys: Keys, came_ms: int) -> Shard:
        db = Endpoint.of(url).db
        pool = Pool(WorkerSetup(url, keys.namespace, db, self.identity.id, self._rules, tag=keys.tag))
        state = ShardState(
            Workload(pool),
            self._pause,
            self._schedules,
            self._listeners,
            came_ms=came_ms,
            topology=self._topology if keys.tag else None,
            witnesses=self._witnesses,
        )
        return Shard(Address(url, keys, db), self.identity, state, self._retention, self._hears)

    async def _run(self, shard: Shard) -> None:
        await shard.run()
        await shard.state.workload.pool.close()

    def _pause(self, name: bytes) -> None:
        pause([shard.link for shard, _ in self._shards.values() if shard.link is not None], name)

    def _hears(self) -> None:
        if self.listening:
            self._ready()
