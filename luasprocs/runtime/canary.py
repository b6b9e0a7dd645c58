"""Finds out which event classes the server publishes if CONFIG is refused: by writes to a key of the daemon's own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

import hiredis
from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime import flags
from luasprocs.runtime.log import log
from luasprocs.runtime.probes import PROBES, channels, judge
from luasprocs.runtime.shard_state import NOTIFICATIONS
from luasprocs.runtime.wire import Wire, connect, packed, pipelined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.runtime.link import Link

LOOK_EVERY_S = 3.0
RECORD_EVERY_MS = 60_000
"""How often an ongoing gap is recorded; its last part is recorded when it ends."""
EXPIRES_IN_S = 0.01


class CanaryNeeds(Protocol):
    """The event classes that triggers need. `refused`: set once CONFIG is refused; `ok_ms`: server time without a gap."""

    refused: asyncio.Event
    ok_ms: int

    def wanted(self) -> set[str]: ...

    def blind_to(self, missing: set[str]) -> list[bytes]:
        """The sources that need one of the missing letters."""


class Canary:
    """Probes every few seconds, logs missing classes once until they change, and records the gap.

    `healed`: called when nothing is missing any more.
    """

    def __init__(self, link: Link, needs: CanaryNeeds, healed: Callable[[], None]) -> None:
        self._link, self._needs, self._healed = link, needs, healed
        self._key = link.keys.canary(link.daemon).encode()
        self._ok_ms = 0
        self._recorded_ms = 0
        self._missing: set[str] = set()
        self._blind: set[bytes] = set()
        self._heard: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Runs until the session ends, beginning when CONFIG is refused."""
        await self._needs.refused.wait()
        self._ok_ms = self._needs.ok_ms
        while True:
            try:
                wire = await connect(self._link.address.url, server=self._link.server)
                try:
                    await self._looks(wire)
                finally:
                    wire.close()
            except exceptions.RedisError as error:
                log.warning("notifications can't be checked: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _looks(self, wire: Wire) -> None:
        listened: set[bytes] = set()
        pong: asyncio.Queue[Any] = asyncio.Queue()
        wire.receive = lambda message: self._notice(message, pong)
        while wire.open:
            wanted = self._needs.wanted()
            new = channels(wanted, self._link.address.db, self._key) - listened
            listened |= new
            wire.send(b"".join(packed(b"SUBSCRIBE", channel) for channel in sorted(new)))
            await self._synced(wire, pong)
            now = time_ms(await self._link.command("TIME"))
            self._heard.clear()
            proven = await self._write(wanted & PROBES.keys())
            await self._synced(wire, pong)
            await self._conclude(wanted, judge(wanted, proven, self._heard), now)
            await asyncio.sleep(LOOK_EVERY_S)

    def _notice(self, message: Any, pong: asyncio.Queue[Any]) -> None:
        if isinstance(message, hiredis.ReplyError) or message[0] == b"pong" or message == b"PONG":
            pong.put_nowait(message)
        elif message[0] == b"message":
            head, _, rest = message[1].partition(b"__:")
            if head.startswith(b"__keyspace@"):
                self._heard.add(("K", message[2].decode()))
            elif message[2] == self._key:
                self._heard.add(("E", rest.decode()))

    @staticmethod
    async def _synced(wire: Wire, pong: asyncio.Queue[Any]) -> None:
        """Waits for the PONG: all that was published before has arrived then."""
        wire.send(packed(b"PING"))
        answer = asyncio.ensure_future(pong.get())
        try:
            await asyncio.wait((answer, wire.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if not answer.done() or answer.cancelled():
            raise exceptions.ConnectionError("the connection was closed by the server")
        if isinstance(answer.result(), hiredis.ReplyError):
            raise exceptions.ResponseError(str(answer.result()))

    async def _write(self, letters: Iterable[str]) -> set[str]:
        """Returns the classes whose commands were accepted: a command that an ACL refuses proves nothing."""
        key, proven = self._key, set()
        for letter in sorted(letters, key=list(PROBES).index):
            written = [(command[0], key, *command[1:]) for command in PROBES[letter].commands]
            last = written.pop() if letter == "x" else ("DEL", key)  # what expires is looked at after its time
            replies = await pipelined(self._link.commands, [("DEL", key), *written, last])
            if letter == "x":
                await asyncio.sleep(EXPIRES_IN_S)
                replies += await pipelined(self._link.commands, [last, ("DEL", key)])
            if not any(isinstance(reply, Exception) for reply in replies):
                proven.add(letter)
        return proven

    async def _conclude(self, wanted: set[str], missing: set[str], now: int) -> None:
        if missing:
            before = len(self._blind)
            self._blind |= set(self._needs.blind_to(missing))
            self._link.say(NOTIFICATIONS, _advice(wanted, missing), logging.ERROR)
            if len(self._blind) > before:
                self._recorded_ms = 0
            if now - self._recorded_ms >= RECORD_EVERY_MS:
                await self._record(missing, now)
        elif self._missing:
            await self._record(self._missing, now)
            self._blind.clear()
            self._healed()
            log.info("notifications work again; missed events are recorded as a gap")
        self._missing = missing
        if not missing:
            self._link.said.forget(NOTIFICATIONS)
            self._ok_ms = now

    async def _record(self, missing: set[str], now: int) -> None:
        """The engine starts the gap at the end of the last one, and leaves a very short one to the next probe."""
        why = f"notify-keyspace-events lacks {''.join(sorted(missing))}, and CONFIG is refused"
        words: list[Any] = [self._link.daemon, self._ok_ms, why, *sorted(self._blind)]
        if self._blind and await self._link.call("blind", *words):
            self._recorded_ms = now


def _advice(wanted: set[str], missing: set[str]) -> str:
    setting = flags.merged("", wanted)
    lacking = "".join(sorted(missing))
    return (
        f"the server doesn't publish events of class {lacking}, so sprocs don't run, and CONFIG is refused: set "
        f"notify-keyspace-events to at least {setting}, in redis.conf or your provider's parameters, or as an "
        f"administrator by CONFIG SET notify-keyspace-events {setting}"
    )
