"""Stops a sproc that runs past its timeout on the server, as long as it has not written: FUNCTION KILL.

The server listens to others only after its `busy-reply-threshold` (5 s by default): no timeout acts sooner.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.language.metadata import SERVER_TIMEOUT_MS
from luasprocs.runtime.wire import connect
from luasprocs.server.errors import is_busy

if TYPE_CHECKING:
    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.numbering import Numbering
    from luasprocs.runtime.wire import Wire

log = logging.getLogger("luasprocs.daemon")

LOOK_EVERY_S = 0.25
PROBE_TIMEOUT_S = 5.0


class Watchdog:
    """Looks whether the server answers; if not, whether one of the engine's functions is what keeps it."""

    def __init__(self, url: str, keys: Keys, numbering: Numbering) -> None:
        self._url = url
        self._keys = keys
        self._numbering = numbering
        self._told = ""

    async def run(self, commands: Wire) -> None:
        """As long as the session lives."""
        while True:
            if await self._answers(commands):
                self._told = ""
                await asyncio.sleep(LOOK_EVERY_S * 4)
            else:
                await self.look()
                await asyncio.sleep(LOOK_EVERY_S / 5)

    @staticmethod
    async def _answers(commands: Wire) -> bool:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await commands.call("PING")
        except TimeoutError:
            return False
        except exceptions.ResponseError as error:
            return not is_busy(error)
        return True

    async def look(self) -> None:
        """Stops what runs for too long, if it is the engine's."""
        try:
            wire = await connect(self._url, busy=True)
        except exceptions.RedisError:
            return
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._judge(wire)
        except exceptions.NoPermissionError as error:
            self._say(f"runs that never end can't be stopped: {error}")
        except (exceptions.RedisError, TimeoutError):
            return
        finally:
            wire.close()

    async def _judge(self, wire: Wire) -> None:
        stats = await wire.call("FUNCTION", "STATS")
        running = stats[1]
        if not isinstance(running, list):
            return
        fields = dict(zip(running[::2], running[1::2], strict=True))
        name, command = fields.get(b"name", b"").decode("utf-8", "replace"), fields.get(b"command", [])
        if not name.startswith(f"{self._keys.library}_") or fields.get(b"duration_ms", 0) < self._timeout_ms(command):
            return
        try:
            await wire.call("FUNCTION", "KILL")
        except exceptions.ResponseError as error:
            self._say(f"{name} runs past its timeout and can't be stopped: {error}")
            return
        log.warning("%s ran past its timeout and was stopped", name)

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            log.warning(text)

    def _timeout_ms(self, command: list[Any]) -> int:
        """The longest timeout among the sprocs that the call may be running."""
        bindings = self._numbering.bindings
        named = {word for word in command[3:] if word in bindings.sprocs or word in bindings.timeouts_ms}
        return max((bindings.timeouts_ms.get(name, SERVER_TIMEOUT_MS) for name in named), default=SERVER_TIMEOUT_MS)
