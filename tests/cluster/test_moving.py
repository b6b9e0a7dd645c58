"""Events and schedules of slots that are on their way, and what stands in an Outbox, whoever put it there."""

from __future__ import annotations

import json
import os
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.put import put
from luasprocs.runtime.daemon import GOSSIP_S
from luasprocs.server.acl import ClusterKind, rule, setuser
from luasprocs.server.fleet import Fleet, open_registry
from luasprocs.server.slots import slot_of
from luasprocs.state.executions import read_executions
from tests.cluster.registries import keys_on
from tests.daemons import DaemonProcess
from tests.live import change, sproc
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import RedisCluster

    from tests.clusters import Cluster, Node

pytestmark = pytest.mark.timeout(180)
COUNTS = sproc("counts.lua", "-- event=set\n-- key=x:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n")
SENT = {"depth": 1, "roots": 1, "origin": "-", "event": "set", "names": "counts.lua"}


@pytest.fixture
def client(cluster: Cluster) -> Iterator[RedisCluster]:
    with cluster.redis_cluster() as made:
        yield made


def on(cluster: Cluster, node: Node) -> str:
    """A hash tag whose slot a node serves."""
    return next(tag for tag in map("n{}".format, range(1000)) if cluster.at(tag) is node)


def test_an_event_of_a_slot_on_its_way_runs_once_where_the_slot_arrives(cluster, client):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    source, target = cluster.nodes[:2]
    key = f"x:{{{on(cluster, source)}}}"
    slot, outbox = slot_of(key.encode()), keys_on(cluster, source).outbox
    with DaemonProcess(cluster.url) as process:
        client.set(key, "1")
        until(lambda: client.get(f"ran:{key}") == b"1")
        client.delete(f"ran:{key}")
        cluster.begin_move(slot, source, target)
        source.ask("SET", key, "2")  # it is still there, and what the sproc would write could not be
        until(lambda: source.ask("XLEN", outbox) == 1, what=lambda: process.output)
        cluster.end_move(slot, source, target)
        until(lambda: source.ask("XLEN", outbox) == 0, what=lambda: process.output)
        assert client.get(f"ran:{key}") == b"1"
    assert [one.status for one in read_executions(open_registry(cluster.url))] == ["ok", "ok"]
    cluster.move_slot(slot, target, source)


def test_a_retry_goes_where_its_key_or_its_schedules_slot_has_gone(cluster, client):
    head = "-- event=set\n-- key=x:*\n-- retries=2\n-- backoff=2s\n"
    again = sproc("again.lua", f"{head}if redis.call('INCR', 'ran:' .. KEYS[1]) == 1 then error('not yet') end\n")
    tick = sproc("tick.lua", "-- every=1h\n-- at=home\nredis.call('INCR', 'ran:{home}')\n")
    put(open_registry(cluster.url), (again, tick), about=change())
    source, target = cluster.nodes[:2]
    key, delayed = f"x:{{{on(cluster, source)}}}", keys_on(cluster, source).delayed
    wrong = next(node for node in cluster.nodes if node is not cluster.at("home"))
    with DaemonProcess(cluster.url) as process:
        client.set(key, "1")
        until(lambda: source.ask("ZCARD", delayed) == 1, what=lambda: process.output)
        cluster.move_slot(slot_of(key.encode()), source, target)
        left = {"id": "1-1", "sproc": "tick.lua", "trigger": "cron", "args": ["0"], "attempt": 2, "server": True}
        wrong.ask("ZADD", keys_on(cluster, wrong).delayed, 0, json.dumps(left))
        until(lambda: client.get(f"ran:{key}") == b"2", what=lambda: process.output)
        until(lambda: client.get("ran:{home}") == b"1", what=lambda: process.output)
        until(lambda: not any(node.ask("ZCARD", keys_on(cluster, node).delayed) for node in cluster.nodes))
    statuses = sorted((one.sproc, one.status) for one in read_executions(open_registry(cluster.url)))
    assert statuses == [("again.lua", "error"), ("again.lua", "ok"), ("tick.lua", "ok")]
    cluster.move_slot(slot_of(key.encode()), target, source)


def test_a_key_that_has_gone_since_a_catch_up_found_it_is_caught_up_where_it_is(cluster, client):
    text = "-- event=set\n-- key=x:*\n-- catchup=scan\nredis.call('INCR', 'ran:' .. KEYS[1])\n"
    put(open_registry(cluster.url), (sproc("counts.lua", text),), about=change())
    source, keys = cluster.nodes[0], keys_on(cluster, cluster.nodes[0])
    key = f"x:{{{on(cluster, cluster.nodes[1])}}}"
    client.set(key, "1")
    source.ask("HSET", keys.catchups, "counts.lua", "0 0")
    assert source.ask("FCALL", "luasprocs_catchup", 0, "counts.lua", "d", "0 0", "", key)[0] == 1
    with DaemonProcess(cluster.url) as process:
        until(lambda: client.get(f"ran:{key}") == b"1", what=lambda: process.output)
    (ran,) = read_executions(open_registry(cluster.url))
    assert (ran.event, ran.status) == ("catchup", "ok")


def test_a_schedule_whose_slot_is_on_its_way_waits_for_it(cluster, client):
    every = "-- every=1s\n-- at=home\nredis.call('RPUSH', 'times:{home}', ARGV[1])\n"
    put(open_registry(cluster.url), (sproc("tick.lua", every),), about=change())
    source = cluster.at("home")
    target = next(node for node in cluster.nodes if node is not source)
    with DaemonProcess(cluster.url):
        until(lambda: client.llen("times:{home}") >= 1)
        cluster.begin_move(slot_of(b"home"), source, target)
        moved = int(source.ask("DEL", "times:{home}"))
        began_s = _seconds(source)
        until(lambda: _seconds(source) > began_s + 2)
        cluster.end_move(slot_of(b"home"), source, target)
        until(lambda: client.llen("times:{home}") >= 2)
        times = [int(one) for one in client.lrange("times:{home}", 0, -1)]
    assert moved == 1
    assert len(set(times)) == len(times)
    assert {one.status for one in read_executions(open_registry(cluster.url))} <= {"ok", "missed"}
    cluster.move_slot(slot_of(b"home"), target, source)


def _seconds(node: Node) -> int:
    return int(node.ask("TIME")[0])


def test_what_is_no_event_in_an_outbox_is_deleted_and_said_once(cluster, client):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    source, target = cluster.nodes[:2]
    outbox, key = keys_on(cluster, source).outbox, f"x:{{{on(cluster, target)}}}"
    broken = (
        {"any": "thing"},
        {**SENT, "key": key, "depth": "-1"},
        {**SENT, "key": key, "roots": "9" * 400},
        {**SENT, "key": key, "origin": "two words"},
        {**SENT, "key": key, "names": ""},
        {b"\xff\x00": b"\xfe" * 1000, b"key": b"\x00"},
        {"key": "x" * 5_000_000},
    )
    for number, fields in enumerate(broken):
        source.client().xadd(outbox, fields)
        source.client().xadd(outbox, {**SENT, "key": f"{key}:{number}"})
    source.client().xadd(outbox, {**SENT, "key": f"{key}:huge", "names": "counts.lua\n" + "n" * 1_000_000})
    with DaemonProcess(cluster.url) as process:
        until(lambda: source.ask("XLEN", outbox) == 0, what=lambda: process.output)
        process.kill()
        assert process.output.count("are no events") == 1
    wanted = [f"{key}:{number}" for number in range(len(broken))]
    assert [client.get(f"ran:{one}") for one in (*wanted, f"{key}:huge")] == [b"1"] * (len(wanted) + 1)


def test_an_outbox_that_is_no_stream_gives_way(cluster, client):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    source, target = cluster.nodes[:2]
    key, outbox = f"x:{{{on(cluster, source)}}}", keys_on(cluster, source).outbox
    slot = slot_of(key.encode())
    with DaemonProcess(cluster.url) as process:
        client.set(key, "1")
        until(lambda: client.get(f"ran:{key}") == b"1")
        source.ask("SET", outbox, "somebody's")
        cluster.begin_move(slot, source, target)
        source.ask("SET", key, "2")
        until(lambda: source.ask("TYPE", outbox) == "stream", what=lambda: process.output)
        cluster.end_move(slot, source, target)
        until(lambda: client.get(f"ran:{key}") == b"2", what=lambda: process.output)
    cluster.move_slot(slot, target, source)


def test_an_event_whose_key_the_daemon_may_not_touch_does_not_wait(cluster):
    touches = sproc("touches.lua", "-- event=set\n-- key=*\nreturn redis.call('GET', KEYS[1])\n")
    put(open_registry(cluster.url), (touches,), about=change())
    for node in cluster.nodes:
        node.ask(
            *shlex.split(setuser("ann", rule("daemon", Keys(), own_keys=("x:*",), nodes=ClusterKind.ANY), "secret"))
        )
    node = cluster.nodes[0]
    key = on(cluster, node)
    with DaemonProcess(cluster.seeds("ann:secret")) as process:
        node.ask("SET", key, "1")
        registry = open_registry(cluster.url)
        until(lambda: read_executions(registry), what=lambda: process.output)
        (record,) = read_executions(registry)
    assert (record.key, record.status) == (key, "error")
    assert node.ask("XLEN", keys_on(cluster, node).outbox) == 0


def test_connections_in_use_stay_when_the_shards_change(cluster):
    fleet = Fleet(cluster.url)
    connection = fleet.registry().client.connection_pool.get_connection()
    connection.send_command("PING")
    fleet.close()
    assert connection.read_response() in {"PONG", b"PONG"}
    connection.disconnect()


@pytest.mark.wording
def test_what_happens_on_a_primary_that_comes_is_a_gap_until_somebody_listens(cluster):
    put(open_registry(cluster.url), (COUNTS,), about=change())
    source, known = cluster.nodes[0], cluster.nodes[0].address
    with DaemonProcess(cluster.url) as process:
        os.kill(process.pid, signal.SIGSTOP)  # what it has seen before is all that it knows when it goes on
        new = cluster.add()
        new.ask("CONFIG", "SET", "cluster-allow-replica-migration", "no")  # it stays a primary without slots
        cluster.cli("add-node", new.address, known)
        until(lambda: all(len(node.lines()) == 4 for node in cluster.nodes))
        slot, more = slot_of(on(cluster, source).encode()), (source.ranges[0].first, source.ranges[0].first + 1)
        cluster.move_slot(slot, source, new)
        written_s = _seconds(new)
        until(lambda: new.ask("SET", f"x:{{{on(cluster, new)}}}", "1"))
        until(lambda: _seconds(new) > written_s + GOSSIP_S + 1)
        os.kill(process.pid, signal.SIGCONT)
        process.until("nothing is synced here yet")
        noticed_s = _seconds(new)
        until(lambda: _seconds(new) > noticed_s + GOSSIP_S + 1)
        for one in more:
            cluster.move_slot(one, source, new)
        process.until("is served no more")  # it would take a tag of the larger range
        put(open_registry(cluster.url), (COUNTS,), about=change())
        gaps = keys_on(cluster, new).gaps
        until(lambda: new.ask("XLEN", gaps), what=lambda: process.output)
    ((_, gap),) = new.client().xrange(gaps)
    assert int(gap[b"from_ms"]) < written_s * 1000 < int(gap[b"to_ms"])
    assert b"was added" in gap[b"why"]
    for one in (slot, *more):
        cluster.move_slot(one, new, source)
    cluster.cli("del-node", known, new.id)
    cluster.nodes.remove(new)
    new.kill()
