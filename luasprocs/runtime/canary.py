"""Where CONFIG is refused: writes on an own key, whose notifications say which classes the server publishes.

What it can't prove: `e` (evicted) and `d` (events of modules), which no write makes at will.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import hiredis
from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime import flags
from luasprocs.runtime.wire import Wire, connect, packed, pipelined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.runtime.link import Link

log = logging.getLogger("luasprocs.daemon")

LOOK_EVERY_S = 3.0
RECORD_EVERY_MS = 60_000
"""How often a gap that goes on is recorded; its last stretch is, when it ends."""
EXPIRES_IN_S = 0.01
KINDS = "KE"


class Probe(NamedTuple):
    """Commands, each without its key, and the event that one of them publishes: a rare one, as others' are heard with it."""

    event: str
    commands: tuple[tuple[str | int, ...], ...]


PROBES = {
    "g": Probe("persist", (("SET", "x", "PX", 60_000), ("PERSIST",))),
    "$": Probe("setrange", (("SETRANGE", 0, "x"),)),
    "l": Probe("lset", (("RPUSH", "x"), ("LSET", 0, "y"))),
    "h": Probe("hincrbyfloat", (("HINCRBYFLOAT", "x", 1),)),
    "s": Probe("spop", (("SADD", "x"), ("SPOP",))),
    "z": Probe("zremrangebylex", (("ZADD", 0, "x"), ("ZREMRANGEBYLEX", "[x", "[x"))),
    "t": Probe("xsetid", (("XADD", "1-1", "x", "y"), ("XSETID", "2-1"))),
    "n": Probe("new", (("SET", "x"),)),
    "m": Probe("keymiss", (("GET",),)),
    "o": Probe("overwritten", (("SET", "x"), ("SET", "y"))),
    "c": Probe("type_changed", (("RPUSH", "x"), ("SET", "y"))),
    "x": Probe("expired", (("SET", "x", "PX", 1), ("EXISTS",))),
}


def sample(wanted: set[str]) -> str:
    """The class by which K and E are told apart where both are wanted; "" where nothing can be proven."""
    return next((letter for letter in PROBES if letter in wanted), "")


def channels(wanted: set[str], db: int, key: bytes) -> set[bytes]:
    """What has to be listened to. Classes are proven on the keyspace channel, unless only keyevent channels are wanted."""
    letters = wanted & PROBES.keys()
    found = {b"__keyspace@%d__:%s" % (db, key)} if "K" in wanted and letters else set()
    if "E" in wanted and letters:
        by_event = {sample(wanted)} if "K" in wanted else letters
        found |= {b"__keyevent@%d__:%s" % (db, PROBES[letter].event.encode()) for letter in by_event}
    return found


def judge(wanted: set[str], proven: set[str], heard: set[tuple[str, str]]) -> set[str]:
    """The letters that are missing. `proven`: classes whose commands were taken; `heard`: kind and event.

    Where nothing is heard of a kind at all, it and its classes are: no write can tell which.
    """
    if not proven:
        return set()
    first = "K" if "K" in wanted else "E"
    missing = {letter for letter in proven if (first, PROBES[letter].event) not in heard}
    if {"K", "E"} <= wanted and (by := sample(wanted)) in proven:
        by_event = ("E", PROBES[by].event) in heard
        if missing == proven:
            return {"K"} if by_event else {"K", "E", *proven}
        return missing | (set() if by_event or by in missing else {"E"})
    return {first, *proven} if missing == proven else missing


class Needs(Protocol):
    """What triggers need. `refused`: set once CONFIG is; `ok_ms`: when, by the server's clock, nothing was missing."""

    refused: asyncio.Event
    ok_ms: int

    def wanted(self) -> set[str]:
        """The letters."""

    def blind_to(self, missing: set[str]) -> list[bytes]:
        """The sources that need one of these."""


class Canary:
    """Looks every few seconds; says what is missing once until it changes, and records the gap.

    `healed`: called when nothing is missing any more.
    """

    def __init__(self, link: Link, needs: Needs, healed: Callable[[], None]) -> None:
        self._link, self._needs, self._healed = link, needs, healed
        self._key = link.keys.canary(link.daemon).encode()
        self._ok_ms = 0
        self._recorded_ms = 0
        self._missing: set[str] = set()
        self._blind: set[bytes] = set()
        self._heard: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """As long as the session lives; not before CONFIG is refused."""
        await self._needs.refused.wait()
        self._ok_ms = self._needs.ok_ms
        while True:
            try:
                wire = await connect(self._link.address.url)
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
        """All that was published before has arrived: it stands before the PONG."""
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
        """Returns the classes whose commands the server took: what an ACL refuses proves nothing."""
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
            if missing != self._missing:
                log.error("%s", _advice(wanted, missing))
            if len(self._blind) > before:
                self._recorded_ms = 0
            if now - self._recorded_ms >= RECORD_EVERY_MS:
                await self._record(missing, now)
        elif self._missing:
            await self._record(self._missing, now)
            self._blind.clear()
            self._healed()
            log.info("notifications are published again; events that were not are recorded as a gap")
        self._missing = missing
        if not missing:
            self._ok_ms = now

    async def _record(self, missing: set[str], now: int) -> None:
        """The engine begins it where the last one ended, and leaves a very short one to the next look."""
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
