"""The node from which slots migrate to a shard is heard, too, as long as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.runtime.questions import moved_bytes

if TYPE_CHECKING:
    from luasprocs.runtime.imports import Import
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.shard_state import ShardState


async def be_ready(link: Link, state: ShardState) -> None:
    """Opens a connection to this shard's node, for the shards to which its slots may migrate."""
    if await moved_bytes(link.command):
        await state.witnesses.prepare(link.address.url, link.server)


async def hear_source(link: Link, state: ShardState, one: Import) -> None:
    """Until it is over. A node that can't be reached isn't heard: then what came may run twice."""
    address = state.topology.address_of_node(one.owner) if state.topology else None
    if address is None:
        return
    witness = await state.witnesses.take(link.address.url, link.server.at(address))
    if witness is not None:
        try:
            await one.watch(witness)
        finally:
            state.witnesses.give_back(witness)
