"""Whether Sentinels name another master by now: the old one may serve on for seconds, or hang."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from luasprocs.runtime.link import LinkLostError
from luasprocs.server.errors import named
from luasprocs.server.guide_errors import GuideError
from luasprocs.server.located import guides_of
from luasprocs.server.urls import place

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link

ASK_EVERY_S = 0.5


class MasterWatch:
    """Asks the Sentinels again and again; without any it ends at once."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def run(self) -> None:
        """Runs until another master is named. Sentinels that don't answer are no reason to leave a server that does.

        Raises:
            LinkLostError: it is.
        """
        link = self._link
        if not link.server.guides:
            return
        here = place(*link.server.address)
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
                    who = "the cluster names another primary" if link.keys.tag else "Sentinel names another master"
                    raise LinkLostError(f"{who} than {here}")
