"""Kills a sproc that runs past its timeout on the server, if it has not written anything: FUNCTION KILL.

The server accepts that only after its `busy-reply-threshold` (5 s by default), so no timeout acts sooner.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.language.metadata import typed
from luasprocs.runtime.log import log
from luasprocs.runtime.pace import rest_s
from luasprocs.runtime.wire import connect
from luasprocs.server.errors import is_busy, is_forbidden

if TYPE_CHECKING:
    from luasprocs.runtime.bindings import Bindings
    from luasprocs.runtime.link import Address, Link
    from luasprocs.runtime.log_once import LogOnce
    from luasprocs.runtime.numbering import Numbering
    from luasprocs.runtime.wire import Wire

LOOK_EVERY_S = 0.25
PROBE_TIMEOUT_S = 5.0
TIMEOUT_MS: int = typed({}, "timeout")
"""The timeout of a sproc that sets none."""


class Watchdog:
    """Checks that the server answers; if it doesn't, kills the engine's function if that is what blocks it."""

    def __init__(self, link: Link, numbering: Numbering) -> None:
        self._link, self._numbering = link, numbering

    async def run(self) -> None:
        while True:
            if await self._answers():
                self._link.said.forget("watchdog")
                await asyncio.sleep(rest_s(LOOK_EVERY_S * 4))
            else:
                await stop_overdue(self._link.address, self._numbering.bindings, self._link.said)
                await asyncio.sleep(LOOK_EVERY_S / 5)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._link.command("PING")
        except TimeoutError:
            return False
        except exceptions.ResponseError as error:
            return not is_busy(error)
        return True


async def stop_overdue(address: Address, bindings: Bindings, said: LogOnce) -> None:
    """Kills the running function if it is the engine's and past its timeout, on a connection of its own."""
    try:
        wire = await connect(address.url, busy=True)
    except exceptions.RedisError:
        return
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            name, duration_ms, command = await _running(wire)
            if name.startswith(f"{address.keys.library}_") and duration_ms >= _timeout_ms(bindings, command):
                await _kill(wire, name, said)
    except (exceptions.RedisError, TimeoutError) as error:
        if is_forbidden(error):
            said.say("watchdog", f"can't stop endless runs: {error}")
    finally:
        wire.close()


async def _running(wire: Wire) -> tuple[str, int, list[Any]]:
    """The running function: its name, how long it has run in ms, and the command that called it."""
    stats = await wire.call("FUNCTION", "STATS")
    running = stats[1] if isinstance(stats[1], list) else []
    fields = dict(zip(running[::2], running[1::2], strict=True))
    name = fields.get(b"name", b"").decode("utf-8", "replace")
    return name, fields.get(b"duration_ms", 0), fields.get(b"command", [])


async def _kill(wire: Wire, name: str, said: LogOnce) -> None:
    try:
        await wire.call("FUNCTION", "KILL")
    except exceptions.ResponseError as error:
        said.say("watchdog", f"{name} runs past its timeout and can't be stopped: {error}")
        return
    log.warning("%s ran past its timeout and was stopped", name)


def _timeout_ms(bindings: Bindings, command: list[Any]) -> int:
    """The longest timeout of the sprocs that the call may be running."""
    named = {word for word in command[3:] if word in bindings.sprocs or word in bindings.timeouts_ms}
    return max((bindings.timeouts_ms.get(name, TIMEOUT_MS) for name in named), default=TIMEOUT_MS)
