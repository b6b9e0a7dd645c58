"""Applications call sprocs of a cluster: each call goes to the shard of its key, or of the sproc's `at`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from redis import RedisCluster
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.cluster import LoadBalancingStrategy

import luasprocs
from luasprocs.errors import NoSprocError, ProblemsError, ScriptError
from luasprocs.language.sproc import read_sproc
from luasprocs.operations.put import put
from luasprocs.operations.run import Ran, run
from luasprocs.server.fleet import open_registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.live import change, sproc
from tests.until import until

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster, Node

NAMES = [f"{number}" for number in range(12)]
WHO = "return redis.call('CLUSTER', 'MYID')"


@pytest.fixture
def live(cluster: Cluster) -> Registry:
    put(
        open_registry(cluster.url),
        (
            sproc("set.lua", "redis.call('SET', KEYS[1], ARGV[1])\nreturn redis.call('GET', KEYS[1])"),
            sproc("near.lua", WHO),
            *(sproc(f"at_{name}.lua", f"-- at={name}\n{WHO}") for name in NAMES),
            sproc("job.lua", "-- runasync=yes\n-- at=3\nreturn 1"),
            sproc("far.lua", "redis.call('SET', KEYS[1], 1)\nreturn redis.call('GET', ARGV[1])"),
        ),
        about=change(),
    )
    return open_registry(cluster.url)


def served_by(cluster: Cluster, name: str) -> str:
    return cluster.at(name).id


@pytest.mark.parametrize("how", ["node", "seeds", "client"])
def test_calls_go_where_they_belong(cluster: Cluster, live: Registry, how: str) -> None:
    way: Any = {"node": cluster.urls[2], "seeds": cluster.seeds_url, "client": cluster.redis_cluster()}[how]
    with luasprocs.connect(way) as sprocs:
        for name in NAMES:
            assert sprocs.execute("set.lua", keys=[name], args=[name], reply=str) == name
            assert sprocs.execute(f"at_{name}.lua", reply=str) == served_by(cluster, name)
        assert sprocs.execute("near.lua", reply=str) == served_by(cluster, "near.lua")
        with pytest.raises(NoSprocError):
            sprocs.execute("none.lua")
        elsewhere = next(name for name in NAMES if cluster.at(name) is not cluster.at("a"))
        with pytest.raises(ScriptError, match="hash tag"):
            sprocs.execute("far.lua", keys=["a"], args=[elsewhere])
        job = sprocs.enqueue("job.lua")
        assert isinstance(sprocs.client, RedisCluster)
    assert [(one.id, one.shard) for one in read_jobs(live)] == [(job, live.at(b"3").keys.tag)]


@pytest.mark.usefixtures("live")
def test_a_pipeline_of_calls(cluster: Cluster) -> None:
    with luasprocs.connect(cluster.url) as sprocs:
        assert sprocs.execute("at_5.lua", reply=str) == served_by(cluster, "5")
        with sprocs.client.pipeline() as pipe:
            inside = sprocs.on(pipe)
            for name in NAMES:
                assert inside.execute("set.lua", keys=[name], args=[name]) is pipe
                inside.execute(f"at_{name}.lua")
            replies = [reply.decode() for reply in pipe.execute()]
    assert replies == [said for name in NAMES for said in (name, served_by(cluster, name))]


@pytest.mark.parametrize("how", ["node", "seeds", "client"])
@pytest.mark.usefixtures("live")
async def test_the_same_for_asyncio(cluster: Cluster, how: str) -> None:
    way: Any = {
        "node": cluster.urls[1],
        "seeds": cluster.seeds_url,
        "client": AsyncRedisCluster(host="127.0.0.1", port=cluster.nodes[0].port),
    }[how]
    async with luasprocs.connect_async(way) as sprocs:
        for name in NAMES:
            assert await sprocs.execute("set.lua", keys=[name], args=[name], reply=str) == name
            assert await sprocs.execute(f"at_{name}.lua", reply=str) == served_by(cluster, name)
        assert await sprocs.enqueue("job.lua")
        pipe = sprocs.client.pipeline()
        for name in NAMES:
            sprocs.queue(pipe, "set.lua", keys=[name], args=[name])
            sprocs.queue(pipe, f"at_{name}.lua")
        replies = [reply.decode() for reply in await pipe.execute()]
    assert replies == [said for name in NAMES for said in (name, served_by(cluster, name))]


@pytest.fixture
def readers(replicated: Cluster) -> dict[str, tuple[str, str]]:
    """Names, each with the ids of the primary and the replica that serve it. `who.lua` says which one ran it."""
    put(open_registry(replicated.url), (sproc("who.lua", f"-- readonly=yes\n{WHO}"),), about=change())
    pairs = dict(zip(replicated.nodes[:3], replicated.nodes[3:], strict=True))
    for primary, replica in pairs.items():
        until(partial(has_all, replica, offset(primary)))
    served = {name: replicated.at(name) for name in NAMES}
    return {name: (primary.id, pairs[primary].id) for name, primary in served.items()}


def offset(node: Node) -> int:
    """How much of the stream of replication it has."""
    return int(node.client().info("replication")["master_repl_offset"])


def has_all(node: Node, reached: int) -> bool:
    return offset(node) >= reached


BALANCED = {"load_balancing_strategy": LoadBalancingStrategy.ROUND_ROBIN_REPLICAS}


@pytest.mark.parametrize("how", ["url", "client"])
def test_calls_that_only_read_go_to_replicas_if_one_asks_for_it(
    replicated: Cluster, readers: dict[str, tuple[str, str]], how: str
) -> None:
    with luasprocs.connect(replicated.url) as sprocs:
        assert {name: sprocs.execute("who.lua", keys=[name], readonly=True, reply=str) for name in readers} == {
            name: primary for name, (primary, _) in readers.items()
        }
    balanced = (
        luasprocs.connect(replicated.url, replicas=True)
        if how == "url"
        else luasprocs.connect(replicated.redis_cluster(**BALANCED))
    )
    with balanced as sprocs:
        assert sprocs.execute("who.lua", readonly=True, reply=str) in {replica for _, replica in readers.values()}
        for name, (primary, replica) in readers.items():
            assert sprocs.execute("who.lua", keys=[name], readonly=True, reply=str) == replica
            assert sprocs.execute("who.lua", keys=[name], reply=str) == primary
        pipe = sprocs.client.pipeline()
        for name in readers:
            sprocs.on(pipe).execute("who.lua", keys=[name], readonly=True)
        assert [reply.decode() for reply in pipe.execute()] == [replica for _, replica in readers.values()]


async def test_reading_calls_of_asyncio_go_to_replicas_if_one_asks_for_it(
    replicated: Cluster, readers: dict[str, tuple[str, str]]
) -> None:
    async with luasprocs.connect_async(replicated.url, replicas=True) as sprocs:
        for name, (primary, replica) in readers.items():
            assert await sprocs.execute("who.lua", keys=[name], readonly=True, reply=str) == replica
            assert await sprocs.execute("who.lua", keys=[name], reply=str) == primary
        pipe = sprocs.client.pipeline()
        for name in readers:
            sprocs.queue(pipe, "who.lua", keys=[name], readonly=True)
        assert [reply.decode() for reply in await pipe.execute()] == [replica for _, replica in readers.values()]


def test_a_run_by_hand_goes_by_at_and_says_why_a_key_is_not_there(cluster: Cluster, live: Registry) -> None:
    for name in NAMES:
        ran = run(live, f"at_{name}.lua", by="ann")
        assert isinstance(ran, Ran)
        assert ran.reply.decode() == served_by(cluster, name)
    elsewhere = next(name for name in NAMES if cluster.at(name) is not cluster.at("a"))
    with pytest.raises(ScriptError) as caught:
        run(live, "far.lua", ["a"], [elsewhere], by="ann")
    assert str(caught.value).startswith(
        "far.lua:2: a key is on another shard: pass it as a key, or give both a hash tag"
    )
    assert "a key is on another shard" in read_executions(live)[-1].said


def test_at_each_is_for_schedules() -> None:
    read_sproc("a.lua", "a.lua", b"-- every=1m\n-- at=each\nreturn 1", "b")
    for header in ("at=each", "at=each\n-- event=set", "at=", "at=x\n-- library=yes"):
        with pytest.raises(ProblemsError, match="at"):
            read_sproc("a.lua", "a.lua", f"-- {header}\nreturn 1".encode(), "b")
