"""A shard, which is one server with a registry: the daemon's sessions with it, one after another."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.runtime.cancelling import end
from luasprocs.runtime.link import Link, LinkLostError
from luasprocs.runtime.log import SHARD, log
from luasprocs.runtime.session import Session
from luasprocs.runtime.shard_state import ENGINE
from luasprocs.runtime.watchdog import stop_overdue
from luasprocs.server.errors import is_busy, named
from luasprocs.server.guide_errors import GuideError
from luasprocs.server.located import guides_of
from luasprocs.server.urls import place, redacted

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.identity import Identity
    from luasprocs.runtime.link import Address
    from luasprocs.runtime.predecessor import Predecessor
    from luasprocs.runtime.shard_state import ShardState
    from luasprocs.runtime.upkeep import Retention
    from luasprocs.server.endpoint import Endpoint

RETRY_FIRST_S = 0.05
RETRY_LONGEST_S = 0.8
"""Short enough to go on within two seconds of the server's return."""
STOP_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 2.0


class Shard:
    """`on_listening`: called when ticks arrive, after each connect; `state`: outlives sessions."""

    def __init__(
        self,
        address: Address,
        identity: Identity,
        state: ShardState,
        retention: Retention,
        on_listening: Callable[[], None],
    ) -> None:
        self._ticks_arrive = False
        self.state = state
        self._address, self._identity, self._retention = address, identity, retention
        self._on_listening = on_listening
        self._link: Link | None = None
        self._session: Session | None = None
        self._before: Predecessor | None = None
        self._stop = asyncio.Event()

    @property
    def link(self) -> Link | None:
        """That of the session, if there is one."""
        return self._link

    @property
    def in_flight(self) -> int:
        """Calls of the server that run events or schedules."""
        return self._session.in_flight if self._session else 0

    @property
    def unsynced(self) -> bool:
        """Whether there is nothing to run here, and no engine: never synced, or flushed."""
        return bool(self.state.said.standing(ENGINE))

    @property
    def listening(self) -> bool:
        """Whether ticks arrive, and there is something to run."""
        return self._ticks_arrive and not self.unsynced

    def stop(self) -> None:
        """Begins no new work; `run` returns when the work under way has ended."""
        self.state.stop()
        self._stop.set()

    async def run(self) -> None:
        SHARD.set(self._address.keys.tag)
        sessions = asyncio.create_task(self._sessions())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait((sessions, stopped), return_when=asyncio.FIRST_COMPLETED)
        if sessions.done():
            stopped.cancel()
            sessions.result()
            return
        await self._end_of_work()
        await end(sessions)
        if self._before is not None:
            self._before.close()

    async def _end_of_work(self) -> None:
        """Waits for the work under way, then ends the lease."""
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while self.in_flight and time.monotonic() < deadline_s:  # noqa: ASYNC110  # once
            await asyncio.sleep(0.005)
        await self.state.workload.end(deadline_s)
        if self._session is not None and self._link is not None and self._link.is_open:
            try:
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await self._session.leave()
            except (exceptions.RedisError, TimeoutError) as error:
                log.warning("could not release the lease: %s", error)

    async def _sessions(self) -> None:
        wait_s = RETRY_FIRST_S
        while True:
            try:
                session = await self._connect()
                await session.run(self._before)
            except LinkLostError as lost:
                log.warning("%s; connecting again", lost)
            except exceptions.RedisError as error:
                await self._failed(error)
            finally:
                wait_s = RETRY_FIRST_S if self._ticks_arrive else min(wait_s * 2, RETRY_LONGEST_S)
                self._disconnect()
            await asyncio.sleep(wait_s)

    async def _connect(self) -> Session:
        self._link = await Link.open(self._address, self._identity.id, self.state.said)
        await self._found(self._link.server)
        session = Session(self._link, self.state, self._identity, self._retention, self._hears)
        await session.start()
        self._session = session
        self.state.said.say("connected", f"connected to {self._where()}", logging.INFO)
        return session

    def _where(self) -> str:
        """Of a server that guides have named, its own address."""
        assert self._link is not None  # noqa: S101
        server = self._link.server
        if not server.guides:
            return redacted(self._address.url)
        here = place(*server.address)
        return here if server.tag else f"{here}, named by {redacted(self._address.url)}"

    async def _found(self, server: Endpoint) -> None:
        """Tells the workers where a server is that Sentinels have named, and which others may follow it."""
        if server.guides:
            async with guides_of(self._address.url) as guides:
                self.state.workload.move((server.address, *await guides.others()), tuple(await guides.known()))

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
        if self._session is not None:
            self._before = self._session.left
        if self._before is not None and not self._before.useful:
            self._before.close()
            self._before = None
            self.state.numbering.disconnect()
        self._link, self._session, self._ticks_arrive = None, None, False

    async def _failed(self, error: exceptions.RedisError) -> None:
        if is_busy(error):
            await stop_overdue(self._address, self.state.numbering.bindings, self.state.said)
        if self.state.topology and isinstance(error, GuideError) and error.of_all:
            return  # the look at the nodes says it for all shards
        guided = self._link and self._link.server.guides
        said = str(named(error, self._link.server.plain_url() if self._link and guided else self._address.url) or error)
        self.state.said.say("connection", f"{said}; trying again")

    def _hears(self) -> None:
        if not self._ticks_arrive:
            self._ticks_arrive = True
            self.state.said.forget("connected")
            self.state.said.forget("connection")
            self._on_listening()
