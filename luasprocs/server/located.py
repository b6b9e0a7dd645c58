"""Where the server of a URL is now: the URL's own, or the one that guides name."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from luasprocs.server.cluster import Nodes
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.sentinel import Sentinels

if TYPE_CHECKING:
    from luasprocs.server.guides import Guides


def guides_of(url: str, within_s: float = 0.0) -> Guides:
    """The guides of a URL that has some (`Endpoint.guides`)."""
    return (Nodes if Endpoint.of(url).tag else Sentinels)(url, within_s)


async def located(url: str) -> Endpoint:
    """Where the server of a URL is now.

    Raises:
        SettingsError: the URL can't be used. GuideError: the guides name no primary.
    """
    endpoint = Endpoint.of(url)
    if not endpoint.guides:
        return endpoint
    async with guides_of(url) as guides:
        return endpoint.at(await guides.master())


def master_of(url: str, within_s: float = 0.0) -> tuple[str, int]:
    """The same for those without a loop, or inside one that they must not enter: host and port. Raises GuideError."""

    async def ask() -> tuple[str, int]:
        async with guides_of(url, within_s) as guides:
            return await guides.master()

    with ThreadPoolExecutor(1, "luasprocs-guides") as thread:
        return thread.submit(asyncio.run, ask()).result()
