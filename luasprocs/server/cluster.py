"""Asks a cluster's nodes which primaries there are, and which of them serves a slot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions

from luasprocs.contract.encoding import text
from luasprocs.server.errors import is_no_cluster
from luasprocs.server.guide_errors import GuideError, Why
from luasprocs.server.guides import Guides
from luasprocs.server.slots import SlotRange, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import asyncio as async_redis

ASKED_AT_ONCE = 5
"""Nodes that are asked first; the others only if none of these answers."""


class Primary(NamedTuple):
    """A primary: its node id, host and port, the slots that it serves, and where its replicas are."""

    id: str
    address: tuple[str, int]
    ranges: tuple[SlotRange, ...]
    replicas: tuple[tuple[str, int], ...] = ()

    def serves(self, slot: int) -> bool:
        """Whether the slot is one of its own."""
        return any(slot in one for one in self.ranges)


def parse_slots(reply: Sequence[Any], asked: str) -> tuple[Primary, ...]:
    """The primaries in a reply of CLUSTER SLOTS, in the order of their first slots. `asked`: the host of the node that says so,
    which may not know its own name.
    """
    found: dict[str, Primary] = {}
    for first, last, *nodes in sorted(reply, key=lambda one: one[0]):
        address, *replicas = (_address(node, asked) for node in nodes)
        node_id = text(nodes[0][2])
        before = found[node_id].ranges if node_id in found else ()
        found[node_id] = Primary(node_id, address, (*before, SlotRange(first, last)), tuple(replicas))
    return tuple(found.values())


def _address(node: Sequence[Any], asked: str) -> tuple[str, int]:
    host = text(node[0] or b"")
    return (asked if host in {"", "?"} else host), int(node[1])


ASK = "`redis-cli --cluster check` tells why"


def why_down(nodes: str) -> str:
    """What a reply of CLUSTER NODES says of a cluster that is down. Pure."""
    found = []
    for line in nodes.splitlines():
        _, address, flags, _, _, heard_ms, _, _, *slots = line.split()
        if {"master", "fail"} <= {*flags.split(",")} and slots:
            since = (
                datetime.fromtimestamp(int(heard_ms) / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            )
            found.append(
                f"{address.partition('@')[0]}, the primary of {' '.join(slots)}, has not answered since {since}"
            )
    return "; ".join(found) or ASK


class _View(NamedTuple):
    """What one node says. `up`: whether it takes the cluster for one that works."""

    epoch: int
    up: bool
    primaries: tuple[Primary, ...]


class Nodes(Guides):
    """Some nodes of a cluster. `master` is the primary that serves the slot of the URL's tag."""

    async def primaries(self) -> tuple[Primary, ...]:
        """All primaries that serve slots, as the node says that has the newest view.

        Raises:
            GuideError: no node answers, or the cluster is down.
        """
        first, rest = self._clients[:ASKED_AT_ONCE], self._clients[ASKED_AT_ONCE:]
        try:
            told = await self._each(self._ask, first)
        except exceptions.ConnectionError:
            if not rest:
                raise
            told = await self._each(self._ask, rest)
        newest: _View = max(told, key=lambda one: (one.up, one.epoch))
        if not newest.up:
            raise self._because(Why.DOWN, said=await self._why_down())
        return newest.primaries

    async def _why_down(self) -> str:
        """Which primaries fail, and since when; as one node sees it."""
        for client in self._clients[:ASKED_AT_ONCE]:
            with contextlib.suppress(exceptions.RedisError, OSError):
                told = await asyncio.wait_for(client.execute_command("CLUSTER", "NODES"), self._within_s)
                return why_down(text(told) if isinstance(told, bytes) else str(told))
        return ASK

    async def master(self) -> tuple[str, int]:
        return (await self._owner()).address

    async def others(self) -> list[tuple[str, int]]:
        return list((await self._owner()).replicas)

    async def known(self) -> list[tuple[str, int]]:
        return [address for one in await self.primaries() for address in (one.address, *one.replicas)]

    async def _owner(self) -> Primary:
        slot = slot_of(self.endpoint.tag.encode())
        for one in await self.primaries():
            if one.serves(slot):
                return one
        raise self._because(Why.UNKNOWN_NAME)

    async def _ask(self, client: async_redis.Redis) -> _View:
        pipe: Any = client.pipeline(transaction=False)
        pipe.execute_command("CLUSTER", "INFO")
        pipe.execute_command("CLUSTER", "SLOTS")
        info, reply = await pipe.execute()
        state = (
            dict(line.split(":", 1) for line in text(info).split() if ":" in line) if isinstance(info, bytes) else info
        )
        host = client.connection_pool.connection_kwargs["host"]
        return _View(int(state["cluster_current_epoch"]), state["cluster_state"] == "ok", parse_slots(reply, host))

    def _refusal(self, error: object) -> Why | None:
        return Why.NO_GUIDE if is_no_cluster(error) else super()._refusal(error)


class Seen(NamedTuple):
    """The primaries that a look saw, and when it began (unix seconds): what changed since then it may have missed."""

    primaries: tuple[Primary, ...] = ()
    began_s: float = 0.0


class Topology:
    """The primaries of a cluster, as a look each `every_s` sees them: one for all shards that somebody is connected to.

    `seen`: by the last look that had an answer; `looks`: how many there were.
    """

    def __init__(self, every_s: float = 1.0) -> None:
        self.seen = Seen()
        self.looks = 0
        self._every_s = every_s

    def address_of(self, tag: str) -> tuple[str, int] | None:
        """Where the primary is that serves a tag's slot; None if nobody is known to."""
        slot = slot_of(tag.encode())
        return next((one.address for one in self.seen.primaries if one.serves(slot)), None)

    def address_of_node(self, node: str) -> tuple[str, int] | None:
        """Where a primary is, by its id."""
        return next((one.address for one in self.seen.primaries if one.id == node), None)

    async def watch(self, url: Callable[[], str], failed: Callable[[GuideError | None], None]) -> None:
        """Looks again and again, until it is cancelled.

        `url`: the cluster's, with the nodes that are known by now; `failed`: told after each look why it failed, or None.
        """
        asked, nodes = "", None
        try:
            while True:
                if nodes is None or url() != asked:
                    if nodes is not None:
                        await nodes.aclose()
                    asked = url()
                    nodes = Nodes(asked)
                began_s = time.time()
                try:
                    self.seen = Seen(await nodes.primaries(), began_s)
                except GuideError as error:
                    failed(error)
                else:
                    self.looks += 1
                    failed(None)
                await asyncio.sleep(self._every_s)
        finally:
            if nodes is not None:
                await nodes.aclose()
