"""Waits for the engine, and loads it again if somebody flushed functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import text
from luasprocs.engine import VERSION, new_secret, render
from luasprocs.registry.live import needs_in
from luasprocs.registry.revision import Revision
from luasprocs.runtime.log import log
from luasprocs.runtime.shard_state import ENGINE
from luasprocs.server.errors import is_missing_function

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link

ENGINE_POLL_S = 0.5


async def until_engine(link: Link) -> None:
    """Returns when the engine answers; loads it if there is a registry without it. Raises redis.RedisError."""
    while (tag := await _served(link)) != link.keys.tag:
        if tag is None and await _load(link):
            continue
        link.say(ENGINE, "nothing is synced here yet: waiting for luasprocs sync")
        await asyncio.sleep(ENGINE_POLL_S)
    link.said.forget(ENGINE)


async def is_own(link: Link) -> bool:
    """Whether the engine there is the link's shard's: if the slot of a tag moves, another shard's is on either side, with
    functions of the same names. Raises redis.RedisError.
    """
    return await _served(link) == link.keys.tag


async def _served(link: Link) -> str | None:
    """The tag of the registry that the engine there serves; None without one."""
    try:
        if link.keys.tag:
            return text(await link.read("shard"))
        await link.read("bound")  # the engine may be an older one
    except exceptions.ResponseError as error:
        if not is_missing_function(error):
            raise
        return None
    return ""


async def _load(link: Link) -> bool:
    """Loads the registry's engine. Returns whether it could: not if there is no registry, or a newer one."""
    revision = Revision.parse(await _hash(link, link.keys.revision))
    if not revision.generation or revision.engine > VERSION:
        return False
    if await _served(link) is not None:
        return True  # a sync has just loaded it, with the registry: another secret would make its messages strangers'
    proof = await link.command("HGET", link.keys.events, "proof")
    secret = proof.decode().strip() if proof else new_secret()
    needs = needs_in(await _hash(link, link.keys.functions))
    engine = render(link.keys, revision.owner, link.address.db, secret, needs)
    await link.command("FUNCTION", "LOAD", "REPLACE", engine.text)
    log.warning("the engine was missing (functions were flushed or lost): loaded it again")
    return True


async def _hash(link: Link, key: str) -> dict[bytes, bytes]:
    stored = await link.command("HGETALL", key)
    return dict(zip(stored[::2], stored[1::2], strict=True))
