"""The link to a real server: its tasks end with it, and say why."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import exceptions

from luasprocs.contract.keys import Keys
from luasprocs.runtime.link import Address, Link, LinkLostError
from luasprocs.runtime.log_once import LogOnce
from tests.live import put, sproc


@pytest.fixture
async def link(server):
    put(server.client(), sproc("a.lua", "return 1"))
    opened = await Link.open(Address(server.url, Keys(), 0), "daemon-1", LogOnce())
    yield opened
    opened.close()
    await asyncio.sleep(0)  # the loop closes the sockets


async def for_ever():
    await asyncio.Event().wait()


async def serve(link, *works):
    """Runs works as tasks of the link, until these end."""
    async with link.tasks():
        for work in works:
            link.spawn(work)


async def test_calls_and_commands(link):
    assert await link.read("bound") == [b"1", b""]
    assert await link.command("PING") == b"PONG"
    with pytest.raises(exceptions.ResponseError, match="NOSPROC"):
        await link.call("run", "none.lua", "-")
    with pytest.raises(TypeError, match="luasprocs_run"):
        await link.call("run")
    replies: list[Any] = []
    link.send(link.packed("bound"), replies.append)
    await link.command("PING")
    assert replies == [[b"1", b""]]
    link.close()
    assert not link.is_open


@pytest.mark.parametrize("which", ["commands", "events"])
async def test_tasks_end_when_a_connection_breaks(link, which):
    cancelled = []

    async def work():
        try:
            await for_ever()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def break_off():
        getattr(link, which).close()

    with pytest.raises(LinkLostError, match=f"the {which.rstrip('s')} connection broke"):
        await serve(link, work(), break_off())
    assert cancelled == [True]


async def test_a_refusal_in_a_task_is_what_they_end_with(link):
    async def refused():
        await link.command("NOSUCH")

    with pytest.raises(exceptions.ResponseError, match="unknown command"):
        await serve(link, for_ever(), refused())


async def test_a_fault_in_a_task_stays_a_group(link):
    async def fault():
        raise KeyError("fault")

    with pytest.raises(ExceptionGroup):
        await serve(link, fault())


async def test_what_is_posted_and_refused_is_logged(link, caplog):
    async def post():
        link.post("run", "none.lua", "-")
        await asyncio.sleep(0)
        await link.command("PING")
        await asyncio.sleep(0)
        link.close()

    with pytest.raises(LinkLostError):
        await serve(link, post())
    assert [text for text in caplog.messages if text.startswith("run was refused: NOSPROC")]


async def test_nothing_is_started_before_and_after(link):
    async def close():
        link.close()

    assert link.spawn(for_ever()) is None
    with pytest.raises(LinkLostError):
        await serve(link, close())
    assert link.spawn(for_ever()) is None
