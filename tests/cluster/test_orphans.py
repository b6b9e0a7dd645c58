"""A registry whose slot has moved: what waits in it goes on elsewhere, each once, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.errors import RegistryError
from luasprocs.operations.pause import pause
from luasprocs.operations.put import put
from luasprocs.registry.shards import enter
from luasprocs.runtime.engine import until_engine
from luasprocs.runtime.link import Address, Link
from luasprocs.runtime.log_once import LogOnce
from luasprocs.server.acl import ClusterKind, rule, setuser
from luasprocs.server.fleet import open_registry, shard_url
from luasprocs.server.slots import slot_of
from luasprocs.state.jobs import read_jobs
from luasprocs.state.paused import read_paused
from tests.cluster.registries import keys_on, tags
from tests.daemons import DaemonProcess
from tests.live import change, sproc
from tests.until import until

if TYPE_CHECKING:
    from tests.clusters import Cluster, Node

pytestmark = pytest.mark.timeout(180)
COUNTS = sproc("counts.lua", "-- event=set\n-- key=x:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n")
JOB = sproc("job.lua", "-- runasync=yes\nredis.call('INCR', KEYS[1])\n")
SENT = {"depth": 1, "roots": 1, "origin": "-", "event": "set", "names": "counts.lua"}
JOBS = 1500
TRIES = (("again", 1), ("never", 0))


def orphaned(cluster: Cluster) -> tuple[Keys, int]:
    """The registry of the first node, whose slot the second one gets; and the slot."""
    source, target = cluster.nodes[:2]
    keys = keys_on(cluster, source)
    slot = slot_of(keys.tag.encode())
    cluster.move_slot(slot, source, target)
    return keys, slot


def on(cluster: Cluster, node: Node) -> str:
    """A hash tag whose slot a node serves."""
    return next(tag for tag in map("n{}".format, range(1000)) if cluster.at(tag) is node)


def back(cluster: Cluster, slot: int) -> None:
    cluster.move_slot(slot, cluster.nodes[1], cluster.nodes[0])


def test_what_an_orphan_had_not_run_is_a_gap_and_what_it_had_sent_arrives_once(cluster):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    source, target = cluster.nodes[:2]
    old, key = keys_on(cluster, source), f"x:{{{on(cluster, cluster.nodes[2])}}}"
    with DaemonProcess(cluster.url), cluster.redis_cluster() as client:
        until(lambda: source.ask("HEXISTS", old.events, "__keyspace@0__:x:*"))
    source.client().xadd(old.outbox, {**SENT, "key": key})
    mark_ms = int(source.ask("HGET", old.events, "__keyspace@0__:x:*").split()[2])
    _, slot = orphaned(cluster)
    for _ in range(2):
        put(open_registry(cluster.url), (COUNTS,), about=change())
    assert old.tag not in tags(cluster)
    with DaemonProcess(cluster.url) as process, cluster.redis_cluster() as client:
        until(lambda: client.get(f"ran:{key}"), what=lambda: process.output)
        own = keys_on(cluster, source)
        until(lambda: source.ask("XLEN", own.gaps))
        until(lambda: source.ask("XLEN", own.outbox) + target.ask("XLEN", keys_on(cluster, target).outbox) == 0)
        assert client.get(f"ran:{key}") == b"1"
    _, gap = source.client().xrange(own.gaps)[0]  # what follows is the time without a daemon
    assert int(gap[b"from_ms"]) == mark_ms < int(gap[b"to_ms"])
    back(cluster, slot)


def test_a_sync_that_is_killed_while_it_carries_over_goes_on_with_the_next_one(cluster, shell):
    shell.commit(job="-- runasync=yes\nredis.call('INCR', KEYS[1])\n")
    shell.ok("sync")
    source, tag = cluster.nodes[0], on(cluster, cluster.nodes[0])
    pipe = source.client().pipeline(transaction=False)
    for number in range(JOBS):
        pipe.execute_command("FCALL", "luasprocs_enqueue", 1, f"{{{tag}}}{number}", "job.lua", "-", 1)
    wanted = {reply.decode() for reply in pipe.execute()}
    assert len(wanted) == JOBS
    old, slot = orphaned(cluster)
    sync = DaemonProcess(cluster.url, command=("sync",), cwd=shell.repo).spawn()
    try:
        until(lambda: any(source.ask("LLEN", key) > JOBS / 10 for key in source.ask("KEYS", "*_Sproc_Waiting_*")))
    finally:
        sync.kill()
    assert cluster.nodes[1].ask("LLEN", f"{old.waiting_prefix}job.lua") == JOBS - 1
    assert old.tag in tags(cluster)
    shell.ok("sync")
    assert old.tag not in tags(cluster)
    assert cluster.nodes[1].ask("EXISTS", old.jobs, old.revision) == 0
    found = [job.id for job in read_jobs(open_registry(cluster.url), limit=2 * JOBS)]
    assert len(found) == len(set(found))
    assert set(found) == wanted
    back(cluster, slot)


def test_a_sync_that_saw_fewer_shards_leaves_the_others_alone(cluster):
    put(open_registry(cluster.url), (COUNTS, JOB), about=change())
    registry = open_registry(cluster.url)
    generation = max(tags(cluster).values())
    for left_out in registry.siblings:
        stale = replace(registry, siblings=tuple(one for one in registry.siblings if one is not left_out))
        enter(stale, generation)
        assert tags(cluster)[left_out.keys.tag] == generation
        assert left_out.client.exists(left_out.keys.list, left_out.keys.revision) == 2


def test_a_paused_sproc_stays_paused_on_a_shard_that_takes_a_new_tag(cluster):
    registry = open_registry(cluster.url)
    put(registry, (COUNTS, JOB), about=change())
    pause(registry, ["counts.lua"], by="ann")
    _, slot = orphaned(cluster)
    put(open_registry(cluster.url), (COUNTS, JOB), about=change())
    for shard in open_registry(cluster.url).shards:
        assert read_paused(replace(shard, siblings=())) == {"counts.lua"}
    back(cluster, slot)


def test_a_deployer_carries_over(cluster):
    put(open_registry(cluster.url), (COUNTS, JOB), about=change())
    source = cluster.nodes[0]
    source.ask("FCALL", "luasprocs_enqueue", "1", on(cluster, source), "job.lua", "-", "1")
    for node in cluster.nodes:
        node.ask(*shlex.split(setuser("ann", rule("deployer", Keys(), nodes=ClusterKind.ANY), "secret")))
    old, slot = orphaned(cluster)
    put(open_registry(cluster.seeds("ann:secret")), (COUNTS, JOB), about=change())
    assert old.tag not in tags(cluster)
    assert len(read_jobs(open_registry(cluster.url))) == 1
    assert cluster.nodes[1].ask("EXISTS", old.jobs, old.revision) == 0
    back(cluster, slot)


def test_jobs_that_wait_for_their_next_try_and_dead_ones_are_carried_over(cluster):
    head = "-- runasync=yes\n-- backoff=1h\n"
    fails = tuple(sproc(f"{name}.lua", f"{head}-- retries={count}\nerror('no')\n") for name, count in TRIES)
    put(open_registry(cluster.url), fails, about=change())
    source = cluster.nodes[0]

    def states() -> dict[str, tuple[str, int]]:
        return {job.sproc: (job.state, job.due_ms) for job in read_jobs(open_registry(cluster.url))}

    with DaemonProcess(cluster.url) as process:
        for name, _ in TRIES:
            source.ask("FCALL", "luasprocs_enqueue", "1", on(cluster, source), f"{name}.lua", "-", "1")
        until(lambda: {state for state, _ in states().values()} == {"delayed", "dead"}, what=lambda: process.output)
    before = states()
    old, slot = orphaned(cluster)
    put(open_registry(cluster.url), fails, about=change())
    assert old.tag not in tags(cluster)
    assert states() == before
    back(cluster, slot)


def test_a_sync_that_began_before_the_slot_moved_leaves_the_engine_of_the_other_shard_alone(cluster):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    stale, target = open_registry(cluster.url), cluster.nodes[1]
    own = keys_on(cluster, target).tag
    _, slot = orphaned(cluster)
    for sprocs in ((COUNTS, JOB), (COUNTS,)):
        with pytest.raises(RegistryError, match="has moved to"):
            put(stale, sprocs, about=change())
        assert target.ask("FCALL_RO", "luasprocs_shard", 0) == own
    put(open_registry(cluster.url), (COUNTS, JOB), about=change())
    assert len(tags(cluster)) == 3
    back(cluster, slot)


async def test_a_daemon_waits_where_the_engine_is_another_shards(cluster):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    target = cluster.nodes[1]
    own = keys_on(cluster, target)
    old, slot = orphaned(cluster)
    link = await Link.open(Address(shard_url(cluster.seeds_url, old.tag), old, 0), "daemon-1", LogOnce())
    assert link.server.address[1] == target.port
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await until_engine(link)
    link.close()
    assert target.ask("FCALL_RO", "luasprocs_shard", 0) == own.tag
    back(cluster, slot)


def test_of_two_orphans_the_earlier_says_where_the_gap_begins(cluster):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    shard, source = open_registry(cluster.url), "__keyspace@0__:x:*"
    for tag, ms in (("a", 100), ("b", 200)):
        assert shard.call("missed", tag, "-", 1, source, ms) == 1
    assert shard.client.hget(shard.keys.events, f"left:{source}") == b"100"
