"""The engine as the daemon finds it: waited for, or loaded again where somebody flushed functions."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.engine import VERSION, render
from luasprocs.registry.live import Revision
from luasprocs.server.errors import is_no_function

if TYPE_CHECKING:
    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.wire import Wire

log = logging.getLogger("luasprocs.daemon")

ENGINE_POLL_S = 0.5


async def until_engine(wire: Wire, keys: Keys, db: int) -> None:
    """Waits for a registry, and loads its engine if somebody flushed it."""
    told = False
    while True:
        try:
            await wire.call("FCALL_RO", keys.function("bound"), 0)
        except exceptions.ResponseError as error:
            if not is_no_function(error):
                raise
            if await _load(wire, keys, db):
                continue
            if not told:
                log.warning("nothing was synced here yet: luasprocs sync makes sprocs live; waiting for it")
                told = True
            await asyncio.sleep(ENGINE_POLL_S)
            continue
        return


async def _load(wire: Wire, keys: Keys, db: int) -> bool:
    """Loads the engine of the registry that is there; false where there is none, or a newer one."""
    stored = await wire.call("HGETALL", keys.revision)
    revision = Revision.parse(dict(zip(stored[::2], stored[1::2], strict=True)))
    if not revision.generation or revision.engine > VERSION:
        return False
    engine = render(keys, revision.owner, db)
    await wire.call("FUNCTION", "LOAD", "REPLACE", engine.text)
    log.warning("the engine was not loaded (somebody flushed functions, or the server lost them): loaded again")
    return True
