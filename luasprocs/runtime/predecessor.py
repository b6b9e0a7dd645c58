"""A failover in order, of a cluster: the connection for events to the demoted server, until the next one's has taken over.

As a replica the old server publishes what the new one does, in the same order. So its events are numbered on there, up to the
first tick of the new server; that one's connection goes on from there. What is PUBLISHed may come out of place in a cluster, but
the tick's HINCRBY is an event itself. That nothing was lost is proven by the old server's own replication ids.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.encoding import text
from luasprocs.runtime import flags
from luasprocs.runtime.log import log
from luasprocs.runtime.numbering import Tick
from luasprocs.runtime.wire import connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.listener import Listener
    from luasprocs.runtime.numbering import Numbering
    from luasprocs.runtime.wire import Wire

WITHIN_S = 5.0
KEPT_S = 10.0
LOOK_EVERY_S = 0.01
CARRY = 2
"""What `tick` takes as `forced` to go on with the epoch of the server before."""
SETTING = "notify-keyspace-events"
RENAMED = "a failover: the demoted server had other names for some events of the new one"


class _LostError(Exception):
    """The events of the old server don't lead on to those of the new one; the text says why."""


class Predecessor:
    """Takes the connection for events of a link that ends."""

    def __init__(self, link: Link, numbering: Numbering) -> None:
        link.keeps_events = True
        self._server = link.server._replace(guides=())
        self._url, self._keys = link.address.url, link.keys
        self._events, self._numbering = link.events, numbering
        self._ticks = f"__keyspace@{link.address.db}__:{link.keys.events}".encode()
        self._published = {name.encode() for name in (link.keys.ticks, link.keys.generations, link.keys.wakes)}
        self._reached = False
        self._since_s = time.monotonic()
        self._heard, self._events.receive = self._events.receive, self._old
        self._new: Listener | None = None
        self._kept: list[Any] = []

    @property
    def useful(self) -> bool:
        return self._events.open and time.monotonic() - self._since_s < KEPT_S

    def close(self) -> None:
        self._events.close()

    async def carried_over(self, link: Link, renew: Callable[[], Awaitable[None]]) -> bool:
        """Whether events go on without a gap: then the link's connection has taken over, as if it had been there.

        `renew`: renews this daemon's lease on the new server.
        """
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._carry_over(link, renew)
        except (_LostError, exceptions.RedisError, TimeoutError) as error:
            log.info("events are not carried over from the demoted server: %s", str(error) or "no answer in time")
            self._numbering.disconnect()
            if self._new is not None:
                self._new.receive = self._hear
            return False
        finally:
            self.close()
        log.info("events are carried over from the demoted server: no gap")
        return True

    async def _carry_over(self, link: Link, renew: Callable[[], Awaitable[None]]) -> None:
        old = await connect(self._url, server=self._server)
        try:
            await self._until_follows(old)
            setting = text((await old.call("CONFIG", "GET", SETTING))[1])
            await old.call("CONFIG", "SET", SETTING, flags.merged(setting, {"K", "h"}))
            await self._events.subscribe_channel(self._ticks)
            await self._prepare(link, setting)
            await renew()
            _, tick, *carried = await link.call("tick", 1, CARRY)
            if not carried:
                raise _LostError("another daemon carries them on")
            while not (self._reached and self._kept) or self._events.holds:
                self._must_be_open(link)
                await asyncio.sleep(LOOK_EVERY_S)
            self._must_be_open(link)
            await self._must_follow(old)
            since_ms = self._switch(tick)
            await old.call("CONFIG", "SET", SETTING, setting)
            if renamed := [one.name for one in self._numbering.sources.values() if flags.renames(one.binding)]:
                await link.call("blind", link.daemon, since_ms, RENAMED, *renamed)
        finally:
            old.close()

    async def _prepare(self, link: Link, setting: str) -> None:
        """Makes the new server publish what the old one did, and listens there."""
        _, own = await link.command("CONFIG", "GET", SETTING)
        await link.command("CONFIG", "SET", SETTING, flags.merged(text(own), flags.expanded(setting)))
        self._new = link.events
        self._hear, link.events.receive = link.events.receive, self._next
        await link.events.subscribe(self._numbering.sources.values())

    def _must_be_open(self, link: Link) -> None:
        if not (self._events.open and link.events.open):
            raise _LostError("a connection for events broke")

    async def _until_follows(self, old: Wire) -> None:
        while not await self._follows(old):
            if not self._events.open:
                raise _LostError("the old server has gone on, or is gone")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _must_follow(self, old: Wire) -> None:
        if not await self._follows(old):
            raise _LostError("the old server has lost its place in the replication")

    async def _follows(self, old: Wire) -> bool:
        """Whether the old server replicates from the next one, and its whole history is a part of that one's."""
        said = _info(await old.call("INFO", "server")) | _info(await old.call("INFO", "replication"))
        if said["role"] != "slave" or said["master_link_status"] != "up":
            return False
        before = hashlib.sha1((said["run_id"] + said["master_replid2"]).encode(), usedforsecurity=False).hexdigest()
        if self._numbering.now is None or before != self._numbering.now.run_id:
            raise _LostError("what was heard of the old server is not what the new one goes on from")
        return True

    def _old(self, message: Any) -> None:
        """A message of the old server: up to the next one's first tick, without what is PUBLISHed."""
        kind = message[0] if isinstance(message, list) else b""
        if kind not in {b"message", b"pmessage"}:
            self._heard(message)
        elif self._reached:
            return
        elif message[1] == self._ticks:
            self._reached = message[2] == b"hincrby"
        elif message[1] == self._keys.ticks.encode() and self._is_own(message[2]):
            self._reached = True  # it is no replica yet, and its ticks count
            self.close()
        elif message[1] not in self._published and message[1] != self._events.everyone:
            self._heard(message)

    def _is_own(self, payload: bytes) -> bool:
        """Whether the server that was left has ticked on."""
        proof, now = self._numbering.proof, self._numbering.now
        return payload.startswith(proof) and now is not None and Tick.parse(payload[len(proof) :]).run_id == now.run_id

    def _next(self, message: Any) -> None:
        """A message of the next server: those from its first tick on are kept."""
        kind = message[0] if isinstance(message, list) else b""
        if kind not in {b"message", b"pmessage"}:
            self._hear(message)
        elif self._kept or (message[1] == self._keys.ticks.encode() and message[2].startswith(self._numbering.proof)):
            self._kept.append(message)

    def _switch(self, number: int) -> int:
        """From here on the next server's messages count. Returns the time of the old server's last tick (ms)."""
        numbering, new = self._numbering, self._new
        assert new is not None  # noqa: S101
        tick = Tick.parse(self._kept[0][2][len(numbering.proof) :])
        now = numbering.now
        if now is None or (tick.epoch, tick.tick, tick.tick) != (now.epoch, now.tick + 1, number):
            raise _LostError("ticks have passed by")
        numbering.now = replace(now, run_id=tick.run_id)
        new.receive = self._hear
        for message in self._kept:
            self._hear(message)
        return now.ms


def _info(reply: Any) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text(reply).splitlines() if ":" in line)
