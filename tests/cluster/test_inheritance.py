"""The slot of a shard's tag moves: what the registry there had recorded is on another shard afterwards, each thing once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.errors import ScriptError
from luasprocs.operations.pause import pause
from luasprocs.operations.put import put
from luasprocs.operations.run import run
from luasprocs.registry.orphans import carry_over
from luasprocs.server.fleet import open_registry
from luasprocs.server.shards import each_shard
from luasprocs.server.slots import slot_of
from luasprocs.state.executions import read_executions
from luasprocs.state.minutes import EVERYONE, ByMinute, read_minutes
from luasprocs.state.stats import Stats, stored_stats
from tests.cluster.registries import keys_on, tags
from tests.live import change, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster

SPROCS = (
    sproc("fine.lua", "return redis.call('INCR', KEYS[1])"),
    sproc("fails.lua", "error('no')"),
    sproc("paused.lua", "return 1"),
)


def gaps(registry: Registry) -> list[Any]:
    found: list[Any] = each_shard(registry, lambda shard: shard.client.xrange(shard.keys.gaps))
    return sorted((entry for some in found for entry in some), key=str)


def kept(registry: Registry) -> tuple[Any, ...]:
    """Records, gaps and counts of all shards, as they are shown."""
    records = sorted((one.id.partition("-")[0], one.sproc, one.status, one.key) for one in read_executions(registry))
    minutes = read_minutes(registry, [EVERYONE, *(one.name for one in SPROCS)])
    counted = [Stats.parse(stored_stats(registry, one.name)) for one in SPROCS]
    return records, gaps(registry), (counted, [ran_in(one) for one in minutes.values()])


def ran_in(found: ByMinute) -> tuple[int, int]:
    """Runs and errors of the day: a minute may have begun meanwhile."""
    return sum(ran.runs for ran in found.minutes.values()), sum(ran.errors for ran in found.minutes.values())


def test_records_counts_gaps_and_pauses_are_carried_over_once(cluster: Cluster) -> None:
    source, target = cluster.nodes[0], cluster.nodes[1]
    registry = open_registry(cluster.url)
    put(registry, SPROCS, about=change())
    here, there = (
        [key for number in range(200) if cluster.at(key := f"k{number}") is node][:3] for node in (source, target)
    )
    for pair in zip(here, there, strict=True):
        for key in pair:
            run(registry, "fine.lua", [key], by="ann")
    with pytest.raises(ScriptError):
        run(registry, "fails.lua", [here[0]], by="ann")
    run(registry, "fine.lua", [there[0]], by="ann")
    for node in (source, target):
        node.ask("XADD", keys_on(cluster, node).gaps, "5-0", "source", node.id)
        now_s = int(node.ask("TIME")[0])
        hour = now_s // 3600 - 1
        node.ask("HSET", keys_on(cluster, node).stats("fine.lua"), "minute", f"{now_s // 60} 1 0")  # one was before
        node.ask("HSET", keys_on(cluster, node).minutes("fine.lua"), hour % 24, f"{hour} @5!1A2")
    pause(registry, ["paused.lua"], by="ann")
    each_shard(registry, lambda shard: shard.call("flush"))
    before = kept(registry)
    assert len(before[0]) == 8
    assert before[2][1] == [(8, 1), (19, 2), (1, 1), (0, 0)]

    old = keys_on(cluster, source)
    cluster.move_slot(slot_of(old.tag.encode()), source, target)
    put(open_registry(cluster.url), SPROCS, about=change())
    registry = open_registry(cluster.url)
    assert old.tag not in tags(cluster)
    assert target.ask("EXISTS", old.revision, old.executions, old.stats("fine.lua")) == 0
    records, gap_entries, stats = kept(registry)
    assert (records, stats) == (before[0], before[2])
    assert {fields[b"source"] for _, fields in gap_entries} == {fields[b"source"] for _, fields in before[1]}
    assert sorted(entry for entry, _ in gap_entries) == [b"5-0", b"5-1"]
    assert each_shard(registry, lambda shard: shard.client.smembers(shard.keys.paused)) == [{b"paused.lua"}] * 3
    carry_over(registry, old.tag)
    assert kept(registry) == (records, gap_entries, stats)
    cluster.move_slot(slot_of(old.tag.encode()), target, source)
