"""Hands events over to the shard that has their key by now: see engine/moved.lua. Only in a cluster is there anything to do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.outbox import Sent
from luasprocs.runtime.shard_state import OUTBOX
from luasprocs.runtime.wire import Wire, connect
from luasprocs.server.cluster import Nodes
from luasprocs.server.errors import reply_timeout
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.server.cluster import Primary

LOOK_EVERY_S = 0.25
AT_ONCE = 200
ANSWER_WITHIN_S = 5.0
PATIENCE_S = 10.0
"""How long a slot may be on its way before that is said."""

_WAIT = "events whose keys have moved wait"


class Forwarder:
    """The Outbox of one shard. Several daemons may hand over the same event: its new shard runs it once."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._wires: dict[tuple[str, int], Wire] = {}
        self._moving: dict[int, float] = {}
        self._errors: dict[tuple[str, int], str] = {}
        self._nodes: Nodes | None = None

    async def run(self) -> None:
        """Runs until the session ends.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        if not self._link.keys.tag:
            return
        try:
            async with Nodes(self._link.address.url) as nodes:
                self._nodes = nodes
                while True:
                    await asyncio.sleep(LOOK_EVERY_S)
                    try:
                        await self._look(nodes)
                    except (exceptions.RedisError, OSError) as error:
                        if not self._link.is_open:
                            raise
                        self._link.refused(OUTBOX, _WAIT, error)
        finally:
            self._nodes = None
            for wire in self._wires.values():
                wire.close()

    async def hand_over(self, job: bytes, key: bytes) -> None:
        """Gives a run that is due to the shard of its key. It stays, for a later try, while that can't be reached, or the slot is
        on its way.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        link, slot, now_ms = self._link, slot_of(key), time.time_ns() // 1_000_000
        try:
            primaries = await self._nodes.primaries() if self._nodes else ()
            there = next((one for one in primaries if one.serves(slot)), None)
            if there is None or there.address == link.server.address:
                return
            await self._call(there.address, "adopt", f"{link.keys.tag}:{now_ms}", "delayed", now_ms, job)
        except (exceptions.RedisError, OSError) as error:
            if not link.is_open:
                raise
            link.say("handing over", f"a retry waits whose key has moved: {error}")
            return
        link.said.forget("handing over")
        await link.command("ZREM", link.keys.delayed, job)

    async def _look(self, nodes: Nodes) -> None:
        """Tries all that there are: what has to wait for its slot, or for its server, must not stand in the way of others."""
        link, start = self._link, b"-"
        primaries: tuple[Primary, ...] = ()
        moving, self._moving, self._errors = self._moving, {}, {}
        while entries := await link.command("XRANGE", link.keys.outbox, start, "+", "COUNT", AT_ONCE):
            primaries = primaries or await nodes.primaries()
            for entry, fields in entries:
                if not await self._waits(entry):
                    continue
                sent = Sent.of(link.keys.tag, entry, dict(zip(fields[::2], fields[1::2], strict=True)))
                if sent is None:
                    link.say("strangers", f"entries of {link.keys.outbox} that are no events are deleted")
                if sent is None or await self._handed_over(primaries, sent, moving):
                    await link.command("XDEL", link.keys.outbox, entry)
            start = b"(" + entries[-1][0]
        now_s = time.monotonic()
        late = [slot for slot, since_s in self._moving.items() if now_s - since_s > PATIENCE_S]
        if self._errors:
            self._wait(min(self._errors.values()))
        elif late:
            self._wait(f"slot {min(late)} is on its way to another node, or nobody serves it")
        else:
            link.said.forget(OUTBOX)

    async def _waits(self, entry: bytes) -> bool:
        """Whether an entry is still there: another daemon may have handed it over since, and then its slot have moved on."""
        return bool(await self._link.command("XRANGE", self._link.keys.outbox, entry, entry))

    def _wait(self, why: str) -> None:
        self._link.say(OUTBOX, f"{_WAIT}: {why}")

    async def _handed_over(self, primaries: tuple[Primary, ...], sent: Sent, moving: dict[int, float]) -> bool:
        """Whether an event is done with: False while no shard has its key, as its slot is on its way.

        `moving`: since when each such slot is, as far as was known before.
        """
        slot = slot_of(sent.key)
        there = next((one for one in primaries if one.serves(slot)), None)
        if slot in self._moving or (there and there.address in self._errors):
            return False
        try:
            if there and await self._arrived(there.address, sent):
                return True
        except (exceptions.RedisError, OSError) as error:
            if not self._link.is_open:
                raise
            assert there is not None  # noqa: S101
            self._errors[there.address] = str(error)
            return False
        self._moving[slot] = moving.get(slot, time.monotonic())
        return False

    async def _arrived(self, address: tuple[str, int], sent: Sent) -> bool:
        link = self._link
        words = (sent.shard, sent.id, link.daemon, *sent[2:-1], *sent.names)
        return await self._call(address, "arrive", *words) != b"ELSEWHERE"

    async def _call(self, address: tuple[str, int], function: str, *words: Any) -> bytes:
        """Calls a function of another shard's engine."""
        wire = await self._wire(address)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                reply: bytes = await wire.call(
                    "FCALL", self._link.keys.function(function), 0, *FUNCTIONS[function].checked(words)
                )
        except TimeoutError:
            wire.close()
            raise reply_timeout() from None
        return reply

    async def _wire(self, address: tuple[str, int]) -> Wire:
        wire = self._wires.get(address)
        if wire is None or not wire.open:
            server = self._link.server.at(address)
            wire = self._wires[address] = await connect(self._link.address.url, server=server)
        return wire
