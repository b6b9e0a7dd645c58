"""Sees to it that the server publishes what triggers need, and that a burst doesn't throw off the listener."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.runtime import flags
from luasprocs.runtime.bindings import Bindings
from luasprocs.runtime.canary import Canary

if TYPE_CHECKING:
    from luasprocs.runtime.session import Session

log = logging.getLogger("luasprocs.daemon")

SETTING = "notify-keyspace-events"
PUBSUB_LIMIT_BYTES = 256 * 1024 * 1024
_REFUSED = ("NOPERM", "ERR")
"""Beginnings of errors that last; others (BUSY, LOADING, …) pass."""


class Notifications:
    """Looked after beside each tick; by writes where CONFIG is refused. `ok_ms`: when, by the server's clock, nothing was missing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.ok_ms = 0
        self._refused = asyncio.Event()
        self._unknown: set[str] = set()
        self._bindings = Bindings()
        self._wanted: set[str] = set()

    async def run(self) -> None:
        """As long as the session lives."""
        await self._refused.wait()
        await Canary(self._session, self.ok_ms).run()

    async def ensure(self) -> None:
        """Switches on the classes that are missing; events of that time are a gap."""
        if self._bindings is not self._session.numbering.bindings:
            self._bindings = self._session.numbering.bindings
            self._wanted = flags.needed(self._bindings)
        wanted = self._wanted - self._unknown
        if not wanted or self._refused.is_set():
            return
        try:
            _, current = await self._session.commands.call("CONFIG", "GET", SETTING)
            missing = wanted - flags.expanded(current.decode())
            if missing:
                await self._set(current.decode(), wanted, missing)
            now = self._session.numbering.now
            self.ok_ms = now.ms if now else self.ok_ms
        except (exceptions.ResponseError, ValueError) as error:
            self._judge(str(error), wanted)

    def _judge(self, error: str, wanted: set[str]) -> None:
        if known := flags.known_to(error):
            self._unknown |= wanted - known
            log.warning("this server has no events of class %s: such triggers never run", "".join(sorted(self._unknown)))
        elif error.startswith(_REFUSED) or ":" not in error:
            self._refused.set()
            log.warning("CONFIG is refused (%s): whether events are published is checked by writes", error)

    async def _set(self, current: str, wanted: set[str], missing: set[str]) -> None:
        setting = flags.merged(current, wanted)
        await self._session.commands.call("CONFIG", "SET", SETTING, setting)
        if missing == {"n"} and "A" in current:
            return  # where A is on, CONFIG GET doesn't tell n: it may be on already
        log.warning("%s was %r: set to %r, which triggers need", SETTING, current, setting)
        self._session.deadlines.rescan()
        sources = self._session.numbering.sources.values()
        blind = [one.name for one in sources if one.segment is not None and flags.needed_by(one.binding) & missing]
        if blind:
            self._session.post(
                "blind", self._session.daemon.id, self.ok_ms, f"{SETTING} lacked {''.join(sorted(missing))}", *blind
            )

    async def raise_output_limit(self) -> None:
        """A burst must not throw off the listener: its output buffer may grow, where CONFIG is allowed."""
        call = self._session.commands.call
        try:
            _, current = await call("CONFIG", "GET", "client-output-buffer-limit")
            words = current.decode().split()
            hard, soft = (int(words[words.index("pubsub") + place]) for place in (1, 2))
            if (hard and hard < PUBSUB_LIMIT_BYTES) or (soft and soft < PUBSUB_LIMIT_BYTES):
                await call("CONFIG", "SET", "client-output-buffer-limit", f"pubsub {PUBSUB_LIMIT_BYTES} 0 0")
                log.info("client-output-buffer-limit of pubsub raised to %d MB", PUBSUB_LIMIT_BYTES >> 20)
        except (exceptions.ResponseError, ValueError):
            log.warning("CONFIG is refused: a burst beyond the server's client-output-buffer-limit pubsub makes a gap")
