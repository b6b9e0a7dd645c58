"""Each shard is heard by two of four daemons; one that dies or stops is replaced, and no event is lost."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.limits import LEASE_MS
from luasprocs.server.fleet import open_registry
from luasprocs.state.daemons import read_running
from tests.cluster.registries import keys_on
from tests.cluster.writing import Writing
from tests.daemons import DaemonProcess
from tests.until import until

if TYPE_CHECKING:
    from tests.clusters import Cluster, Node

pytestmark = pytest.mark.timeout(180)
COUNTS = "-- event=set\n-- key=x:*,y:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n"
SOURCE = "__keyevent@0__:set"
"""What a trigger with two patterns of keys is bound to, for which a server counts who subscribes."""
SOON_S = LEASE_MS / 1000 + 8


def subscribed(node: Node) -> int:
    """How many connections hear the source, as the server says."""
    return int(node.ask("PUBSUB", "NUMSUB", SOURCE)[1])


def each_heard_by(cluster: Cluster, count: int) -> bool:
    return [subscribed(node) for node in cluster.nodes] == [count] * 3


def hearing(cluster: Cluster) -> dict[str, tuple[str, ...]]:
    """The ids of the daemons that hear each shard, as their heartbeats say."""
    registry = open_registry(cluster.url)
    with contextlib.closing(registry.client), contextlib.closing(registry.home.client):
        return dict(read_running(registry).hearing)


def heard_by_others(cluster: Cluster, gone: DaemonProcess) -> bool:
    if not each_heard_by(cluster, 2):
        return False
    return all(len(ids) == 2 and not any(is_of(gone, one) for one in ids) for ids in hearing(cluster).values())


def is_of(daemon: DaemonProcess, name: str) -> bool:
    return f"-{daemon.pid}-" in name


def busiest(cluster: Cluster, daemons: list[DaemonProcess]) -> DaemonProcess:
    """The one that hears most shards."""
    ids = [name for heard in hearing(cluster).values() for name in heard]
    return max(daemons, key=lambda one: sum(is_of(one, name) for name in ids))


def test_each_shard_is_heard_by_two_daemons_and_who_dies_is_replaced(cluster, shell):
    shell.commit(ev=COUNTS)
    shell.ok("sync")
    daemons = [DaemonProcess(cluster.url).spawn() for _ in range(4)]
    try:
        for one in daemons:
            one.until(" listening")
        with cluster.redis_cluster() as client, Writing(client) as writing:
            until(lambda: each_heard_by(cluster, 2), what=lambda: hearing(cluster))
            for end in (DaemonProcess.kill, DaemonProcess.stop):
                victim = busiest(cluster, daemons)
                daemons.remove(victim)
                end(victim)
                until(partial(heard_by_others, cluster, victim), SOON_S, lambda: hearing(cluster))
        listed = shell("status", "--json").json["shards"]
        assert {one["tag"]: tuple(one["heard_by"]) for one in listed} == hearing(cluster)
        with cluster.redis_cluster() as client:
            wanted = [b"1"] * len(writing.keys)
            until(lambda: [client.get(f"ran:{key}") for key in writing.keys] == wanted)
        assert len(writing.keys) > 100
        assert [node.ask("XLEN", keys_on(cluster, node).gaps) for node in cluster.nodes] == [0, 0, 0]
    finally:
        for one in daemons:
            one.kill()
