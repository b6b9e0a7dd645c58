"""Each role's rule, set on every node, serves there: calls on each shard, jobs, reading, a sync."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

import luasprocs
from luasprocs.contract.keys import Keys
from luasprocs.errors import ServerRightsError
from luasprocs.operations.findings import findings
from luasprocs.operations.pause import pause, resume
from luasprocs.operations.put import put
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.acl import ClusterKind, rule, setuser
from luasprocs.server.errors import errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.live import change, sproc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clusters import Cluster

SPROCS = (
    sproc("set.lua", "return redis.call('INCR', KEYS[1])"),
    sproc("at.lua", "-- at=app:5\nreturn redis.call('INCR', 'app:5')"),
    sproc("job.lua", "-- runasync=yes\nreturn 1"),
    sproc("hourly.lua", "-- every=1h\nreturn 1"),
)


@pytest.fixture
def become(cluster: Cluster) -> Callable[[str], str]:
    """A user of a role on each node: the URL as that."""
    put(open_registry(cluster.url), SPROCS, about=change())

    def made(role: str) -> str:
        words = shlex.split(setuser("ann", rule(role, Keys(), nodes=ClusterKind.ANY), "secret"))
        for node in cluster.nodes:
            node.ask(*words)
            node.ask("ACL", "LOG", "RESET")
        return cluster.seeds("ann:secret")

    return made


def refused(cluster: Cluster) -> list[object]:
    return [entry for node in cluster.nodes for entry in node.ask("ACL", "LOG")]


def test_a_caller_calls_on_each_shard(cluster: Cluster, become: Callable[[str], str]) -> None:
    with luasprocs.connect(become("caller")) as sprocs:
        for number in range(12):
            assert sprocs.execute("set.lua", keys=[f"app:{number}"]) == 1
            assert sprocs.enqueue("job.lua", keys=[f"app:{number}"])
        assert sprocs.execute("at.lua") == 2
        assert refused(cluster) == []
        with pytest.raises(ServerRightsError), errors_named(cluster.url):
            sprocs.client.set("other", 1)
    assert len(read_jobs(open_registry(cluster.url))) == 12


def test_a_viewer_reads_and_changes_nothing(cluster: Cluster, become: Callable[[str], str]) -> None:
    registry = open_registry(become("viewer"))
    findings(read_snapshot(registry, cluster.url))
    assert (read_jobs(registry), read_executions(registry)) == ([], [])
    assert refused(cluster) == []
    with pytest.raises(ServerRightsError), errors_named(cluster.url):
        pause(registry, ["set.lua"], by="ann")


@pytest.mark.parametrize("role", ["deployer", "daemon"])
def test_who_deploys_syncs_and_pauses(cluster: Cluster, become: Callable[[str], str], role: str) -> None:
    registry = open_registry(become(role))
    put(registry, (*SPROCS, sproc("new.lua", "return 1")), about=change())
    pause(registry, ["new.lua", "hourly.lua"], by="ann")
    if role == "deployer":
        resume(registry, ["new.lua", "hourly.lua"])
    assert refused(cluster) == []
