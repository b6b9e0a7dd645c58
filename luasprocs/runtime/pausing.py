"""Pauses a sproc that ran past its timeout too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import time_ms
from luasprocs.runtime.log import log
from luasprocs.state.paused import SCHEDULES_CHANGED, pausing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.runtime.link import Link


def pause(links: Iterable[Link], name: bytes) -> None:
    """Pauses a sproc's triggers on all these shards, and logs it."""
    said = "%s ran past its timeout three times in a row: paused; luasprocs resume starts it again"
    log.error(said, name.decode("utf-8", "replace"))
    for link in links:
        link.spawn(_pause(link, name))


async def _pause(link: Link, name: bytes) -> None:
    try:
        at_ms = time_ms(await link.command("TIME"))
        for words in pausing(link.keys, name, at_ms, f"daemon {link.daemon}"):
            await link.command(*words)
        await link.command("PUBLISH", link.keys.wakes, SCHEDULES_CHANGED)
    except exceptions.ResponseError as error:
        log.warning("%s could not be paused: %s", name.decode("utf-8", "replace"), error)
