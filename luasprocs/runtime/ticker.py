"""Requests the ticks that number events, and checks that they arrive."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from redis import exceptions

from luasprocs.contract.limits import TICK_MS
from luasprocs.contract.replies import Ticked
from luasprocs.runtime.engine import is_own, until_engine
from luasprocs.runtime.link import DemotedError, LinkLostError
from luasprocs.runtime.log import log
from luasprocs.runtime.shard_state import TICK
from luasprocs.runtime.wire import connect
from luasprocs.server.errors import is_busy, is_missing_function, is_read_only

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering

TICKS_UNHEARD = 8
"""After so many missing ticks the event connection counts as broken."""
HUNG_S = 5.0
ANSWER_S = 1.0
FORCE_EVERY_S = 0.2
LOST = 3
"""What `tick` takes as `forced` to begin an epoch at once after a failover."""


class Ticks(Protocol):
    """Callbacks of the ticker."""

    async def answered(self) -> None:
        """The server has answered a request for a tick."""

    def engine_back(self) -> None:
        """The engine was missing, and is back."""

    def ticked(self, count: int) -> None:
        """`count` ticks were requested so far."""


class Ticker:
    """Requests a tick every TICK_MS; the server publishes it unless another daemon was first."""

    def __init__(self, link: Link, numbering: Numbering, ticks: Ticks) -> None:
        self._link, self._numbering, self._ticks = link, numbering, ticks
        self._unheard = self._read_bytes = self._ignored = 0
        self._forced_s = 0.0

    async def force(self, *, lost: bool = False) -> None:
        """Publishes a tick now: it starts the numbering of new subscriptions. Raises redis.RedisError.

        `lost`: this daemon has listened and lost its connection, so that after a failover no epoch is carried on.
        """
        await self._link.call("tick", TICK_MS, LOST if lost else 1)

    def force_soon(self) -> None:
        """Does the same in the background, at a limited rate."""
        if time.monotonic() - self._forced_s > FORCE_EVERY_S:
            self._forced_s = time.monotonic()
            self._link.post("tick", 1, 1)

    async def run(self) -> None:
        """Runs until the session ends.

        Raises:
            LinkLostError: ticks no longer arrive, or are another shard's. redis.ConnectionError: the connection broke.
        """
        count = 0
        while True:
            started_s = time.monotonic()
            try:
                ticked = Ticked.of(await self._in_time(self._link.call("tick", TICK_MS, 0)))
                await self._must_be_own(ticked)
                self._check_heard(ticked)
                await self._ticks.answered()
            except exceptions.ResponseError as error:
                self._refused(error)
                if is_missing_function(error):
                    await until_engine(self._link)
                    self._ticks.engine_back()
            count += 1
            self._ticks.ticked(count)
            await asyncio.sleep(max(0.0, TICK_MS / 1000 - (time.monotonic() - started_s)))

    async def _in_time(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The answer. If it takes long, a second connection tells a hung server, or one that takes no writes for a while
        (CLIENT PAUSE, FAILOVER), from a dead connection.
        """
        task = asyncio.ensure_future(call)
        task.add_done_callback(_retrieve)
        while True:
            done, _ = await asyncio.wait((task,), timeout=HUNG_S)
            if done:
                return task.result()
            try:
                answers = await self._answers_others()
            except exceptions.ResponseError:  # BUSY: it is there, and runs a script
                continue
            except exceptions.RedisError:
                log.warning("no answer for %.0f s, and the server accepts no connection: waiting", HUNG_S)
                continue
            if (await asyncio.wait((task,), timeout=ANSWER_S))[0]:  # it hung, and answers now
                return task.result()
            if not answers:
                self._link.say(
                    TICK, f"no answer for {HUNG_S:.0f} s, though the server is there: are writes paused? Waiting"
                )
                continue
            task.cancel()
            raise LinkLostError("the connection hangs, though the server answers others")

    async def _answers_others(self) -> bool:
        """Whether a second connection gets an answer in time. Raises redis.RedisError: it can't be made."""
        probe = await connect(self._link.address.url)
        try:
            async with asyncio.timeout(ANSWER_S):
                await probe.call("FCALL", self._link.keys.function("tick"), 0, TICK_MS, 0)
        except TimeoutError:
            return False
        except exceptions.ResponseError as error:
            return not is_busy(error)
        finally:
            probe.close()
        return True

    async def _must_be_own(self, ticked: Ticked) -> None:
        """In a cluster another epoch may be another shard's: the slot of this one's tag has moved."""
        now = self._numbering.now
        if now is not None and now.epoch != ticked.epoch and not await is_own(self._link):
            raise LinkLostError("another shard's engine is here: the slot of the tag has moved")

    def _refused(self, error: exceptions.ResponseError) -> None:
        self._link.refused(TICK, "the tick was refused", error)
        if is_read_only(error) and self._link.server.guides:
            raise DemotedError("the server is now a replica")
        if is_read_only(error):
            self._count_unheard("the server is now a replica: connecting again to find its master")

    def _check_heard(self, ticked: Ticked) -> None:
        """A tick may lie behind a backlog of events: while anything is read, the connection is alive."""
        now, read_bytes = self._numbering.now, self._link.events.read_bytes
        reads, self._read_bytes = read_bytes != self._read_bytes, read_bytes
        if now is not None and now.epoch == ticked.epoch and now.tick >= ticked.tick - 1:
            self._link.said.forget(TICK)  # one that was refused is counted, though nobody hears it
        behind = now is None or now.epoch != ticked.epoch or ticked.tick - now.tick > TICKS_UNHEARD
        if behind and self._numbering.ignored != self._ignored:
            self._ticks.engine_back()  # loaded again, it may have another secret
        self._ignored = self._numbering.ignored
        if behind and not reads:
            self._count_unheard("ticks don't arrive on the event connection: it is dead, or on a demoted master")
        else:
            self._unheard = 0

    def _count_unheard(self, why: str) -> None:
        self._unheard += 1
        if self._unheard > TICKS_UNHEARD:
            raise LinkLostError(why)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Marks its error as seen, in case its waiter was cancelled: the end of the session says why."""
    if not task.cancelled():
        task.exception()
