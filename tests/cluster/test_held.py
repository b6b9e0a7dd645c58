"""Events that are held until it is known what a migration brought go on, though the link ends meanwhile that would tell."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from luasprocs.contract.keys import Keys
from luasprocs.runtime.bindings import Bindings, Bound, binding_of
from luasprocs.runtime.cluster_listener import ClusterListener
from luasprocs.runtime.imports import Import
from luasprocs.runtime.numbering import Numbering, Tick
from luasprocs.runtime.wire import Wire, connect
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

    from luasprocs.runtime.bindings import Binding
    from tests.clusters import Cluster, Node

KEYS = Keys(tag="luasprocs-0")
SOURCE = b"__keyevent@0__:set"


class _Session:
    """What a link would do, with tasks that end with it."""

    def __init__(self, numbering: Numbering, wire: Wire) -> None:
        self.asked = asyncio.Event()
        self._numbering, self._wire = numbering, wire
        self._tasks: set[asyncio.Task[None]] | None = set()

    def tick(self, tick: Tick) -> None:
        self._numbering.tick(tick)

    def flush(self) -> None:
        pass

    def unclear(self, slots: list[int], from_ms: int) -> None:
        pass

    async def unknown(self, *, late: bool) -> None:  # noqa: ARG002
        self.asked.set()
        await asyncio.Event().wait()  # nobody tells in time

    def importing(self, slot: int, owner: str, heard: Collection[Binding]) -> Import:
        return Import(self._wire.call, slot, owner, heard)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if self._tasks is None:
            work.close()
            return None
        task = asyncio.create_task(work)
        self._tasks.add(task)
        return task

    async def end(self) -> None:
        tasks, self._tasks = self._tasks or set(), None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_what_is_held_goes_on_when_the_link_ends(cluster: Cluster) -> None:
    source, target, other = cluster.nodes
    key = next(f"k{number}" for number in count() if cluster.at(f"k{number}") is source)
    slot = slot_of(key.encode())
    try:
        assert asyncio.run(_heard(source, target, key, slot)) == [key.encode()]
    finally:
        target.ask("DEL", key)
        for node in (source, target, other):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", source.id)
        cluster.until_whole()


async def _heard(source: Node, target: Node, key: str, slot: int) -> list[bytes]:
    """The keys of the events that the target's listener has let go, after a link that ended."""
    target.ask("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener = await connect(target.url, ClusterListener)
    wire = await connect(target.url)
    assert isinstance(listener, ClusterListener)
    try:
        numbering = Numbering()
        numbering.proof = b"proof "
        session = _Session(numbering, wire)
        listener.attach(KEYS, numbering, session)  # type: ignore[arg-type]  # what else a control does isn't asked for
        bound = Bound(b"a.lua", frozenset([b"set"]), (b"*",))
        numbering.bind(Bindings("1", {SOURCE: binding_of(SOURCE, [bound])}))
        await listener.subscribe_control()
        await listener.subscribe(numbering.sources.values())
        (heard,) = numbering.sources.values()

        numbering.tick(Tick("e", 1, 1, "run", False))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        await wire.call("ASKING")
        await wire.call("SET", key, "v")
        await _until(lambda: listener.holds)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        await wire.call("PUBLISH", KEYS.ticks, "proof e 2 2 run 0")
        await _until(session.asked.is_set)
        assert listener.holds
        await session.end()
        await _until(lambda: not listener.holds)
        return [event.key for chunk in heard.pending for event in chunk.events]
    finally:
        listener.close()
        wire.close()


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110  # what another connection brings
            await asyncio.sleep(0.01)
