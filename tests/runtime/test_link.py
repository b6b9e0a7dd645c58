"""The link to a real server: its tasks end with it, and say why."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from redis import exceptions

from luasprocs.contract.keys import Keys
from luasprocs.runtime.link import Address, Link, LinkLostError
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.wire import packed
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


async def test_of_commands_that_are_not_queued_the_first_says_why(link):
    with pytest.raises(exceptions.ResponseError, match="wrong number of arguments for 'get'"):
        await link.together(packed("PING"), packed("GET"), packed("NOSUCH"))
    assert await link.together(packed("PING")) == [b"PONG"]


@pytest.mark.parametrize(
    "said",
    [
        "MOVED 99 127.0.0.1:7000",
        "ERR Script attempted to access a non local key in a cluster node script: luasprocs_tick, on @luasprocs:prelude:30.",
        "ERR Attempted to access a non local key in a cluster node script: on @luasprocs:prelude:30.",
        "ERR Script attempted to execute a command while the cluster is down script: luasprocs_beat, on @luasprocs:ticks:150.",
        "CLUSTERDOWN The cluster is down",
        "READONLY You can't write against a read only replica.",
    ],
)
async def test_what_a_changing_cluster_refuses_is_said_once_and_stands_for_each(link, caplog, said):
    """As Redis 7.0 and Valkey 9.1 put it."""
    error = exceptions.ResponseError(said)
    for topic in ("one", "two", "one"):
        link.refused(topic, f"{topic} waits", error, logging.ERROR)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert said not in caplog.text
    standing = link.said.standing("one", "two")
    assert [text.partition(":")[0] for text in standing.values()] == ["one waits", "two waits"]
    link.said.forget("one")
    link.said.forget("two")
    link.refused("two", "two waits", error)
    assert len(caplog.records) == 2


async def test_any_other_refusal_is_said_as_it_is(link, caplog):
    link.refused("one", "one waits", exceptions.ResponseError("ERR x"), logging.ERROR)
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", "one waits: ERR x")]


async def test_nothing_is_started_before_and_after(link):
    async def close():
        link.close()

    assert link.spawn(for_ever()) is None
    with pytest.raises(LinkLostError):
        await serve(link, close())
    assert link.spawn(for_ever()) is None
