"""A daemon on a cluster: events, schedules and jobs of all shards, while slots move and primaries go."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.limits import TICK_MS
from luasprocs.operations.put import put
from luasprocs.server.errors import is_busy
from luasprocs.server.fleet import open_registry
from luasprocs.server.slots import slot_of
from tests.cluster.registries import keys_on, tags
from tests.daemons import DaemonProcess
from tests.live import sproc
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import RedisCluster

    from tests.clusters import Cluster, Node
    from tests.sync.commands.shell import Shell

pytestmark = pytest.mark.timeout(180)
COUNTS = "-- event=set\n-- key=x:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n"
JOB = "-- runasync=yes\nfor _, key in ipairs(KEYS) do redis.call('INCR', key) end\nreturn redis.call('INCR', 'elsewhere')\n"


@pytest.fixture
def client(cluster: Cluster) -> Iterator[RedisCluster]:
    with cluster.redis_cluster() as made:
        yield made


def daemon(cluster: Cluster, shell: Shell) -> DaemonProcess:
    return DaemonProcess(cluster.url, command=("daemon",), cwd=shell.repo)


def ran(client: RedisCluster, keys: list[str]) -> list[str]:
    """How often the sproc ran for each key."""
    counts = (client.get(f"ran:{key}") for key in keys)
    return ["0" if count is None else str(int(count)) for count in counts]


def write(client: RedisCluster, first: int, count: int) -> list[str]:
    keys = [f"x:{{{number}}}" for number in range(first, first + count)]
    for key in keys:
        client.set(key, "1")
    return keys


def test_events_run_once_on_each_shard(cluster, client, shell):
    shell.commit(ev=COUNTS)
    with daemon(cluster, shell) as process:
        keys = write(client, 0, 60)
        until(lambda: ran(client, keys) == ["1"] * 60, 30, lambda: f"{ran(client, keys)}\n{process.output}")
    assert {cluster.at(key).port for key in keys} == {node.port for node in cluster.nodes}


def test_events_whose_keys_have_moved_run_once_where_they_are(cluster, client, shell):
    shell.commit(ev=COUNTS)
    with daemon(cluster, shell) as process:
        source, target = cluster.nodes[0], cluster.nodes[1]
        name = next(f"n{number}" for number in range(1000) if cluster.at(f"n{number}") is source)
        keys = [f"x:{{{name}}}:{number}" for number in range(30)]
        os.kill(process.pid, signal.SIGSTOP)
        for key in keys:
            client.set(key, "1")
        cluster.move_slot(slot_of(name.encode()), source, target)
        os.kill(process.pid, signal.SIGCONT)
        until(lambda: ran(client, keys) == ["1"] * 30, 30, lambda: f"{ran(client, keys)}\n{process.output}")
        outbox = keys_on(cluster, source).outbox
        until(lambda: source.ask("XLEN", outbox) == 0)
        cluster.move_slot(slot_of(name.encode()), target, source)
        time.sleep(1)
        assert ran(client, keys) == ["1"] * 30


def test_a_schedule_runs_once_for_each_time_and_goes_where_its_slot_goes(cluster, client, shell):
    shell.commit(tick="-- every=1s\n-- misfire=all\n-- at=home\nredis.call('RPUSH', 'times:{home}', ARGV[1])\n")
    source = cluster.at("home")
    target = next(node for node in cluster.nodes if node is not source)
    with daemon(cluster, shell), daemon(cluster, shell):
        until(lambda: client.llen("times:{home}") >= 2)
        cluster.move_slot(slot_of(b"home"), source, target)
        reached = client.llen("times:{home}")
        until(lambda: client.llen("times:{home}") >= reached + 3)
        times = client.lrange("times:{home}", 0, -1)
    assert len(set(times)) == len(times)
    assert [int(one) for one in times] == list(range(int(times[0]), int(times[0]) + len(times)))
    cluster.move_slot(slot_of(b"home"), target, source)


def test_what_never_ends_is_paused_on_all_shards(cluster, shell):
    cluster.configure(busy_reply_threshold="100")
    shell.commit(forever="-- event=set\n-- key=x:*\n-- timeout=200ms\nwhile true do end\n")
    busy = cluster.at("here")
    with daemon(cluster, shell) as process:
        paused = {node: keys_on(cluster, node).paused for node in cluster.nodes}
        busy.ask("MSET", *(word for number in range(3) for word in (f"x:{{here}}{number}", "1")))
        for node in sorted(cluster.nodes, key=lambda one: one is busy):
            until(lambda: node.ask("SMEMBERS", paused[node]), what=lambda: process.output)  # noqa: B023
    assert "forever.lua" in shell("status").out


def test_a_node_that_is_busy_for_a_while_loses_no_event(cluster, shell):
    cluster.configure(busy_reply_threshold="50")
    slow = "-- timeout=10s\nlocal t = tonumber(redis.call('TIME')[1]) + 2\nwhile tonumber(redis.call('TIME')[1]) < t do end\n"
    shell.commit(slow=slow, ev=COUNTS)
    busy = cluster.at("here")
    with daemon(cluster, shell) as process:
        with busy.client().pipeline(transaction=False) as pipe:  # with a tick the daemon asks whose the slots are
            pipe.execute_command("FCALL", keys_on(cluster, busy).function("tick"), 0, TICK_MS, 1)
            pipe.fcall(keys_on(cluster, busy).function("execute"), 1, "slow:{here}", "slow.lua")
            pipe.execute()
        for number in range(20):
            until(lambda: _is_set(busy, f"x:{{here}}{number}"))  # noqa: B023
            time.sleep(0.1)
        counts = [f"ran:x:{{here}}{number}" for number in range(20)]
        until(lambda: busy.ask("MGET", *counts) == ["1"] * 20, 20, lambda: process.output)
    assert not busy.ask("XLEN", keys_on(cluster, busy).gaps)


def _is_set(node: Node, key: str) -> bool:
    try:
        return bool(node.ask("SET", key, "1"))
    except ResponseError as error:
        assert is_busy(error), error
        return False


def test_a_job_reaches_keys_of_all_shards(cluster, client, shell):
    shell.commit(job=JOB)
    keys = [next(f"k{number}" for number in range(1000) if cluster.at(f"k{number}") is node) for node in cluster.nodes]
    with daemon(cluster, shell):
        for key in keys:
            # A warning that it has not begun is no failure: three shards' daemon takes its time on a busy machine.
            ran = shell("execute", "job.lua", "--key", key, "--wait")
            assert (ran.code, ran.out.strip().isdecimal()) == (0, True), ran
    assert [client.get(key) for key in keys] == [b"1"] * 3
    assert client.get("elsewhere") == b"3"


def test_a_sproc_knows_the_shard_that_it_runs_on(cluster, client, shell):
    counts = "redis.call('INCR', '{' .. sproc.shard .. '}:' .. sproc.name)\n"
    each = "-- every=1s\n-- at=each\n"
    shell.commit(server=each + counts, worker=f"{each}-- runasync=yes\n{counts}")
    shell.ok("sync")
    counted = [f"{{{tag}}}:{name}" for tag in tags(cluster) for name in ("server.lua", "worker.lua")]
    assert len(counted) == 6
    with daemon(cluster, shell):
        until(lambda: all(map(client.get, counted)), 60)


def test_jobs_of_a_registry_whose_slot_has_moved_are_carried_over(cluster, client, shell):
    shell.commit(job=JOB)
    shell.ok("sync")
    source, target = cluster.nodes[0], cluster.nodes[1]
    old = keys_on(cluster, source)
    on_it = [key for number in range(1000) if cluster.at(key := f"k{number}") is source][:5]
    for key in on_it:
        assert shell("execute", "job.lua", "--key", key).code == 0
    assert len(shell.ok("jobs", "list", "--json").lines) == 5
    cluster.move_slot(slot_of(old.tag.encode()), source, target)
    shell.ok("sync")
    assert old.tag not in tags(cluster)
    assert target.ask("EXISTS", old.jobs, old.revision, old.list) == 0
    with daemon(cluster, shell):
        until(lambda: [client.get(key) for key in on_it] == [b"1"] * 5)
        until(lambda: not shell.ok("jobs", "list", "--json").out)
    cluster.move_slot(slot_of(old.tag.encode()), target, source)


def test_a_primary_is_killed_and_its_replica_goes_on(replicated, guarded):
    guarded.commit(ev=COUNTS)
    with daemon(replicated, guarded) as process, replicated.redis_cluster() as client:
        keys = write(client, 0, 30)
        until(lambda: ran(client, keys) == ["1"] * 30)
        victim = replicated.primaries[-1]
        tag = keys_on(replicated, victim).tag
        victim.kill()
        until(lambda: all(one is not victim and one.is_primary for one in replicated.primaries), 30)
        until(lambda: "a new epoch" in process.output, 30)
        until(lambda: guarded("status", "--json").json["in_sync"], 30)
        keys = write(client, 100, 30)
        until(lambda: ran(client, keys) == ["1"] * 30, 30)
    assert f"shard {tag}: connected to {replicated.at(f'{{{tag}}}').address}" in process.output
    raw = re.findall(
        r".*(?:EXECABORT|script:|shard=|Errno|Error \d|shard \S+: (?:the cluster at|no node)).*", process.output
    )
    assert not raw, raw


def test_a_daemon_at_rest_looks_at_the_topology_once_for_all_shards(cluster, start_daemon):
    def looks():
        stats = [node.client().info("commandstats") for node in cluster.nodes]
        return max(one["cmdstat_cluster|slots"]["calls"] for one in stats)

    put(open_registry(cluster.url), [sproc("ev.lua", COUNTS)])
    start_daemon(cluster.url)
    before = looks()
    time.sleep(4)
    assert 2 <= looks() - before < 30
