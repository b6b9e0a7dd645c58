"""Makes the server publish what triggers need, and give listeners a large enough output buffer."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime import flags
from luasprocs.runtime.bindings import Bindings
from luasprocs.runtime.log import log
from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_lasting

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering

SETTING = "notify-keyspace-events"
TELL_EVERY_S = 10.0
PUBSUB_LIMIT_BYTES = 512 * 1024 * 1024


class Notifications:
    """Checked with each tick.

    `ok_ms`: the last server time at which nothing was missing. `refused`: set if CONFIG is refused for good.
    """

    def __init__(self, link: Link, numbering: Numbering) -> None:
        self._link, self._numbering = link, numbering
        self.ok_ms = 0
        self.refused = asyncio.Event()
        self._unknown: set[str] = set()
        self._told_s, self._resets = -math.inf, 0
        self._bindings = Bindings()
        self._wanted: set[str] = set()

    async def start(self) -> None:
        """Prepares the server, before anything is subscribed."""
        self.ok_ms = time_ms(await self._link.command("TIME"))
        await self._raise_output_limit()

    def wanted(self) -> set[str]:
        """The letters that triggers need, without those that this server doesn't support."""
        if self._bindings is not self._numbering.bindings:
            self._bindings = self._numbering.bindings
            self._wanted = flags.needed(self._bindings)
        return self._wanted - self._unknown

    def blind_to(self, missing: set[str]) -> list[bytes]:
        """The sources that need one of these letters."""
        sources = self._numbering.sources.values()
        return [one.name for one in sources if one.segment is not None and flags.needed_by(one.binding) & missing]

    async def ensure(self) -> bool:
        """Switches on missing classes and records the gap. Returns whether any were missing."""
        wanted, set_now = self.wanted(), False
        if not wanted or self.refused.is_set():
            return False
        try:
            _, current = await self._link.command("CONFIG", "GET", SETTING)
            missing = wanted - flags.expanded(current.decode())
            if missing:
                set_now = await self._set(current.decode(), wanted, missing)
            self.ok_ms = self._numbering.now.ms if self._numbering.now else self.ok_ms
        except (exceptions.ResponseError, ValueError) as error:
            if self._refused(error, wanted):
                return await self.ensure()  # at once: until then nothing is published
        return set_now

    async def _set(self, current: str, wanted: set[str], missing: set[str]) -> bool:
        setting = flags.merged(current, wanted)
        words: tuple[str, ...] = ("CONFIG", "SET", SETTING, setting)
        unseen = missing == {"n"} and "A" in current  # with A, CONFIG GET doesn't show n: it may have been on
        blind = [] if unseen else self.blind_to(missing)
        if not missing <= flags.EVERYWHERE:  # it may be refused: then nobody was blind
            await self._link.command(*words)
            words = ("PING",)
        if blind:
            why = f"{SETTING} lacked {''.join(sorted(missing))}"
            gap = self._link.packed("blind", self._link.daemon, self.ok_ms, why, *blind)
            await self._link.together(packed(*words), gap)  # or a lost connection would leave it without a record
        else:
            await self._link.command(*words)
        if not unseen:
            self._tell(current, setting)
        return not unseen

    def _tell(self, current: str, setting: str) -> None:
        """Says it now and then, if somebody resets it again and again."""
        self._resets += 1
        if time.monotonic() >= self._told_s + TELL_EVERY_S:
            often = f" ({self._resets} times since this was said last)" if self._resets > 1 else ""
            log.warning("set %s from %r to %r, because triggers need it%s", SETTING, current, setting, often)
            self._told_s, self._resets = time.monotonic(), 0

    def _refused(self, error: Exception, wanted: set[str]) -> bool:
        """Whether the server lacks some classes, and takes the others."""
        known = flags.known_to(error)
        if known and not wanted <= known:
            self._unknown |= wanted - known
            letters = "".join(sorted(self._unknown))
            log.warning("this server has no events of class %s (%s): triggers on them never fire", letters, SETTING)
            return True
        if is_lasting(error):
            self.refused.set()
            log.warning("CONFIG is refused (%s): test writes check which events the server publishes", error)
        return False

    async def _raise_output_limit(self) -> None:
        """Raises the output buffer limit, if CONFIG is allowed, so that a burst doesn't disconnect the listener."""
        try:
            _, current = await self._link.command("CONFIG", "GET", "client-output-buffer-limit")
            words = current.decode().split()
            hard, soft = (int(words[words.index("pubsub") + place]) for place in (1, 2))
            if (hard and hard < PUBSUB_LIMIT_BYTES) or (soft and soft < PUBSUB_LIMIT_BYTES):
                value = f"pubsub {PUBSUB_LIMIT_BYTES} 0 0"
                await self._link.command("CONFIG", "SET", "client-output-buffer-limit", value)
                log.info("client-output-buffer-limit of pubsub raised to %d MB", PUBSUB_LIMIT_BYTES >> 20)
        except (exceptions.ResponseError, ValueError):
            log.warning("CONFIG is refused: a burst beyond client-output-buffer-limit pubsub causes a gap")
