"""Whether Sentinels, or a cluster's nodes, name another master by now: the old one may serve on for seconds, or hang."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from luasprocs.runtime.link import DemotedError
from luasprocs.server.errors import named
from luasprocs.server.guide_errors import GuideError
from luasprocs.server.located import guides_of
from luasprocs.server.urls import place

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.server.cluster import Topology

ASK_EVERY_S = 0.5


class MasterWatch:
    """Asks the Sentinels again and again; in a cluster the daemon does that for all shards. Without either it ends at once."""

    def __init__(self, link: Link, topology: Topology | None) -> None:
        self._link, self._topology = link, topology

    async def run(self) -> None:
        """Runs until another master is named. Guides that don't answer are no reason to leave a server that does.

        Raises:
            DemotedError: it is.
        """
        link = self._link
        here = place(*link.server.address)
        if (topology := self._topology) is not None:
            old = topology.looks + 1  # it may have begun before this server was found
            while topology.looks <= old or topology.address_of(link.keys.tag) in {None, link.server.address}:  # noqa: ASYNC110  # of all shards
                await asyncio.sleep(ASK_EVERY_S)
            raise DemotedError(f"the cluster names another primary than {here}")
        if not link.server.guides:
            return
        async with guides_of(link.address.url) as guides:
            while True:
                await asyncio.sleep(ASK_EVERY_S)
                try:
                    moved = await guides.name_another(link.server)
                except GuideError as error:
                    link.say("sentinel", str(named(error, link.address.url)))
                    continue
                link.said.forget("sentinel")
                if moved:
                    raise DemotedError(f"Sentinel names another master than {here}")
