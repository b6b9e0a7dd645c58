"""Hands events over to the shard that has their key by now: see engine/moved.lua. Only in a cluster is there anything to do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.functions import FUNCTIONS
from luasprocs.runtime.wire import Wire, connect
from luasprocs.server.cluster import Nodes
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.server.cluster import Primary

LOOK_EVERY_S = 0.25
AT_ONCE = 200


class Forwarder:
    """The Outbox of one shard. Several daemons may hand over the same event: its new shard runs it once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._wires: dict[tuple[str, int], Wire] = {}

    async def run(self) -> None:
        """Runs until the session ends.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        if not self._link.keys.tag:
            return
        try:
            async with Nodes(self._link.address.url) as nodes:
                while True:
                    await asyncio.sleep(LOOK_EVERY_S)
                    await self._look(nodes)
        finally:
            for wire in self._wires.values():
                wire.close()

    async def _look(self, nodes: Nodes) -> None:
        """Tries all that there are: some may have to wait for their slot, and must not stand in the way of others."""
        link = self._link
        try:
            start = b"-"
            primaries: tuple[Primary, ...] = ()
            while entries := await link.command("XRANGE", link.keys.outbox, start, "+", "COUNT", AT_ONCE):
                primaries = primaries or await nodes.primaries()
                for entry, fields in entries:
                    if await self._handed_over(primaries, entry, dict(zip(fields[::2], fields[1::2], strict=True))):
                        await link.command("XDEL", link.keys.outbox, entry)
                start = b"(" + entries[-1][0]
            link.said.forget("outbox")
        except (exceptions.RedisError, OSError) as error:
            if not link.is_open:
                raise
            link.say("outbox", f"events whose keys have moved wait: {error}", logging.WARNING)

    async def _handed_over(self, primaries: tuple[Primary, ...], entry: bytes, fields: dict[bytes, bytes]) -> bool:
        """Whether an event is done with: False while no shard has its key, as its slot is on its way."""
        key = fields[b"key"]
        there = next((one for one in primaries if one.serves(slot_of(key))), None)
        if there is None:
            return False
        link = self._link
        head = (link.keys.tag, entry, link.daemon, *(fields[word] for word in (b"depth", b"roots", b"origin")))
        words: tuple[Any, ...] = (*head, key, fields[b"event"], *fields[b"names"].split(b"\n"))
        wire = await self._wire(there.address)
        reply: bytes = await wire.call("FCALL", link.keys.function("arrive"), 0, *FUNCTIONS["arrive"].checked(words))
        return reply != b"ELSEWHERE"

    async def _wire(self, address: tuple[str, int]) -> Wire:
        wire = self._wires.get(address)
        if wire is None or not wire.open:
            server = self._link.server.at(address)
            wire = self._wires[address] = await connect(self._link.address.url, server=server)
        return wire
