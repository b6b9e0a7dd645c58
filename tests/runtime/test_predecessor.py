"""Whether the server that a daemon left was demoted: its ticks tell."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.contract.replies import About
from luasprocs.runtime.link import Address, Link
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.numbering import Numbering
from luasprocs.runtime.predecessor import Predecessor
from tests.live import put, sproc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import Server


@pytest.fixture
async def link(server: Server) -> AsyncIterator[Link]:
    put(server.client(), sproc("a.lua", "return 1"))
    opened = await Link.open(Address(server.url, Keys(), 0), "daemon-1", LogOnce())
    yield opened
    opened.close()
    await asyncio.sleep(0)  # the loop closes the sockets


async def test_a_server_that_ticks_on_was_not_demoted(link):
    numbering, heard = Numbering(), asyncio.Event()
    numbering.proof = About.of(await link.read("about")).proof.encode()

    def tick(one):
        numbering.tick(one)
        heard.set()

    link.events.attach(link.keys, numbering, SimpleNamespace(tick=tick, flush=lambda: None))
    await link.events.subscribe_control()
    await link.call("tick", 1, 1)
    await asyncio.wait_for(heard.wait(), 10)
    left = Predecessor(link, numbering)
    try:
        for others in (numbering.proof + b"epoch 9 0 another 0", b"nobody's"):
            await link.command("PUBLISH", link.keys.ticks, others)
        await link.events.subscribe_channel(b"behind")  # its confirmation comes after them
        assert left.useful
        await link.call("tick", 1, 1)
        async with asyncio.timeout(10):
            await link.events.lost
        assert not left.useful
    finally:
        left.close()
