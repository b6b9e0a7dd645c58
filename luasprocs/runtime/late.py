"""A daemon that can't tell what a migration brought waits for one that can: watermarks say what was no event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime.wire import packed
from luasprocs.state.daemons import parse_heartbeats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.runtime.link import Link

LOOK_EVERY_S = 0.05
LATE_S = 3.0
"""The longest wait of one that was late: two of them wait for each other."""
UNKNOWN_S = 0.5
"""That of one that heard all in time."""


async def until_judged(link: Link, sources: Iterable[bytes], within_s: float) -> None:
    """Waits until all that came up to now on these sources has run, or been passed over, or nobody else hears the shard."""
    names, last = tuple(sources), None
    until_s = asyncio.get_running_loop().time() + within_s
    while names and asyncio.get_running_loop().time() < until_s:
        try:
            beats, now, (tick, *marks) = await link.together(
                packed("HGETALL", link.keys.daemons),
                packed("TIME"),
                packed("HMGET", link.keys.events, "tick", *names),
            )
        except exceptions.ResponseError:  # the server is busy
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        last = int(tick or 0) if last is None else last
        daemons = parse_heartbeats(dict(zip(beats[::2], beats[1::2], strict=True)))
        hearing = {one.id for one in daemons if one.covers and one.alive(time_ms(now))}
        if not hearing - {link.daemon} or all(mark and int(mark.split()[0]) > last for mark in marks):
            return
        await asyncio.sleep(LOOK_EVERY_S)
