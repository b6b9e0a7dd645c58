"""Pauses a sproc that ran past its timeout too often."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.state.paused import pausing

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link

log = logging.getLogger("luasprocs.daemon")


def pause(link: Link, name: bytes) -> None:
    """Pauses a sproc's triggers, and logs it."""
    said = "%s ran past its timeout three times in a row: paused; luasprocs resume starts it again"
    log.error(said, name.decode("utf-8", "replace"))
    link.spawn(_pause(link, name))


async def _pause(link: Link, name: bytes) -> None:
    try:
        for words in pausing(link.keys, name):
            await link.command(*words)
    except exceptions.ResponseError as error:
        log.warning("%s could not be paused: %s", name.decode("utf-8", "replace"), error)
