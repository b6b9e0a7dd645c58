"""Makes `expired` events come in time: with many keys, Redis itself expires them late. Reading a due key expires it.

Deadlines are learnt from one SCAN, and from events on a connection of its own, which are never numbered. If no trigger wants
`expired`, there is neither. Several daemons may touch the same key: Redis publishes its expiry once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime.cancelling import end
from luasprocs.runtime.deadline_listener import DeadlineListener
from luasprocs.runtime.expiring import Expiring, expiring
from luasprocs.runtime.expiry_queue import KEYS_LIMIT, NEVER, ExpiryQueue
from luasprocs.runtime.numbering import OWN
from luasprocs.runtime.wire import connect
from luasprocs.server.errors import is_forbidden

if TYPE_CHECKING:
    from luasprocs.runtime.bindings import Bindings
    from luasprocs.runtime.link import Link

KEY_LIMIT_BYTES = 1024
"""Longer keys are left to Redis."""
BATCH_KEYS = 100
"""Keys of one call of `deadlines`: dispatches on the same connection wait for it, about 0.1 ms."""
SCAN_COUNT = 500
"""Keys of one page, about 0.5 ms."""
RESCAN_LEAD_MS = 10_000
RESCAN_REST_S = 5.0
CLOCK_EVERY_S = 1.0
RETRY_S = 2.0
AGAIN_MS = 2
"""When to touch a key again that turned out not to be due: the clock jumped."""


class Deadlines:
    """Touches due keys as long as a trigger wants their `expired` event."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._wanted = Expiring()
        self._rebound = asyncio.Event()
        self._rescan = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        self._queue = ExpiryQueue()
        self._asked: dict[bytes, None] = {}
        self._woken = asyncio.Event()
        self._ahead_ms = 0.0
        self._clock_at = -NEVER

    def bind(self, bindings: Bindings) -> None:
        wanted = expiring(bindings)
        if wanted != self._wanted:
            self._wanted = wanted
            self._rebound.set()

    def rescan(self) -> None:
        """Scans again: deadlines may have been missed."""
        self._rescan.set()

    async def run(self) -> None:
        while True:
            self._rebound.clear()
            self._forget()
            if not self._wanted:
                await self._rebound.wait()
                continue
            work = asyncio.ensure_future(self._watch(self._wanted))
            rebound = asyncio.ensure_future(self._rebound.wait())
            try:
                await asyncio.wait((work, rebound), return_when=asyncio.FIRST_COMPLETED)
            finally:
                rebound.cancel()
                await end(work)  # if the server goes down, its connection and the link break at once
            if not work.cancelled():
                work.result()

    async def _watch(self, wanted: Expiring) -> None:
        """Handles one set of keys until cancelled; reconnects if the connection breaks."""
        while True:
            try:
                await self._learn_and_touch(wanted)
            except* exceptions.RedisError as failed:
                self._say(f"deadlines are unknown, so `expired` events may be late: {failed.exceptions[0]}")
            await asyncio.sleep(RETRY_S)  # if the link broke too, the session ends meanwhile
            self._forget()

    async def _learn_and_touch(self, wanted: Expiring) -> None:
        listener = await connect(self._link.address.url, DeadlineListener, server=self._link.server)
        assert isinstance(listener, DeadlineListener)  # noqa: S101
        try:
            listener.start(wanted, self._ask)
            await listener.subscribe(wanted, self._link.address.db)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_lost(listener))
                group.create_task(self._scans(wanted))
                group.create_task(self._work())
        finally:
            listener.close()

    @staticmethod
    async def _until_lost(listener: DeadlineListener) -> None:
        raise await asyncio.shield(listener.lost) or exceptions.ConnectionError(
            "the connection was closed by the server"
        )

    def _say(self, text: str) -> None:
        self._link.say("deadlines", text)

    def _ask(self, key: bytes) -> None:
        """Queues a key whose deadline may have changed."""
        if OWN in key or len(key) > KEY_LIMIT_BYTES:
            return
        if len(self._asked) >= KEYS_LIMIT:
            self._rescan.set()
            return
        self._asked[key] = None
        self._woken.set()

    async def _work(self) -> None:
        """Touches due keys, reads queued deadlines, sleeps until there is more to do."""
        while True:
            self._woken.clear()
            if time.monotonic() - self._clock_at > CLOCK_EVERY_S:
                await self._set_clock()
            if due := self._queue.due(self._now_ms(), BATCH_KEYS):
                await self._learn(due)
            elif self._asked:
                some = [key for _, key in zip(range(BATCH_KEYS), self._asked, strict=False)]
                for key in some:
                    del self._asked[key]
                await self._learn(some)
            else:
                self._look_ahead()
                rest_s = min((self._queue.next + 1 - self._now_ms()) / 1000, CLOCK_EVERY_S if self._queue else NEVER)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(rest_s, 0.001) if rest_s < NEVER else None):
                        await self._woken.wait()

    def _now_ms(self) -> float:
        """The server's time."""
        return time.monotonic() * 1000 + self._ahead_ms

    async def _set_clock(self) -> None:
        sent = time.monotonic()
        now = time_ms(await self._link.command("TIME"))
        self._clock_at = time.monotonic()
        self._ahead_ms = now - (sent + self._clock_at) * 500

    async def _learn(self, keys: list[bytes]) -> None:
        """Reads deadlines, -1 for none, -2 for a missing key; that expires those that are due."""
        try:
            replies = await self._link.read("deadlines", *keys)
        except exceptions.ResponseError as error:
            replies = [error] * len(keys)
        soonest = int(self._now_ms()) + AGAIN_MS
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, int):
                self._queue.learn(key, reply if reply < 0 else max(reply, soonest))
            elif is_forbidden(reply):
                self._say(f"deadlines of some keys can't be read, so their `expired` events may be late: {reply}")
            else:  # BUSY and its like
                self._queue.learn(key, soonest + 100)
        if self._queue.horizon < NEVER:
            self._say(f"more than {KEYS_LIMIT} keys with a TTL: later ones are scanned for in time")
        self._woken.set()

    def _look_ahead(self) -> None:
        """Scans again for forgotten deadlines before they are due."""
        queue = self._queue
        if queue.horizon < NEVER and (len(queue) < queue.limit // 4 or self._now_ms() > queue.horizon - RESCAN_LEAD_MS):
            self._rescan.set()

    async def _scans(self, wanted: Expiring) -> None:
        """Scans at the start, and again if deadlines were forgotten or missed."""
        while True:
            self._rescan.clear()
            self._queue.horizon = NEVER
            started = time.monotonic()
            exact = sorted(wanted.exact)
            for start in range(0, len(exact), SCAN_COUNT):
                await self._learn(exact[start : start + SCAN_COUNT])
            if wanted.globs:
                await self._scan(wanted)
            took_s = time.monotonic() - started
            await self._rescan.wait()
            await asyncio.sleep(max(RESCAN_REST_S, took_s))

    async def _scan(self, wanted: Expiring) -> None:
        matches = wanted.matcher()
        match = ("MATCH", wanted.globs[0]) if len(wanted.globs) == 1 and not wanted.exact else ()
        cursor: bytes | None = None
        while cursor != b"0":
            started = time.monotonic()
            cursor, found = await self._link.command("SCAN", cursor or b"0", *match, "COUNT", SCAN_COUNT)
            keys = [key for key in found if OWN not in key and len(key) <= KEY_LIMIT_BYTES and matches(key)]
            await self._learn(keys)
            await asyncio.sleep(time.monotonic() - started)  # half of the time at most
