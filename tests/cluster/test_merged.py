"""What stands on each shard, read as one and changed as one."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.codes import FindingCode as Code
from luasprocs.errors import JobError, ServerUnreachableError, SettingsError
from luasprocs.operations.findings import Finding, findings
from luasprocs.operations.pause import pause, resume
from luasprocs.operations.put import put
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.snapshot import Snapshot, read_snapshot
from luasprocs.server.errors import errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.server.shards import one_shard
from luasprocs.state.daemons import read_running
from luasprocs.state.executions import newest_ids, read_executions, read_gaps
from luasprocs.state.jobs import act, count_jobs, read_jobs
from luasprocs.state.paused import Pause, read_paused
from luasprocs.state.schedules import read_schedules
from luasprocs.state.stats import Stats, read_stats, stored_stats, summed
from luasprocs.state.tails import Tails
from luasprocs_tui.backend.registry_backend import REPLY_TIMEOUT_S, RegistryBackend
from sync.service.observer import Observer
from sync.service.supervisor import Supervisor
from tests.live import change, sproc
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster

SPROCS = (
    sproc("add.lua", 'if ARGV[1] == "boom" then error("boom") end\nreturn redis.call("INCR", KEYS[1])'),
    sproc("hourly.lua", "-- every=1h\nreturn 1"),
    sproc("job.lua", "-- runasync=yes\n-- overlap=allow\nreturn 1"),
)


@pytest.fixture
def live(cluster: Cluster) -> Iterator[Registry]:
    registry = open_registry(cluster.url, socket_timeout=2.0)
    put(registry, SPROCS, about=change())
    registry = open_registry(cluster.url, socket_timeout=2.0)
    yield registry
    for one in {*registry.shards, registry.home}:
        one.client.close()


def tags(registry: Registry) -> list[str]:
    return [shard.keys.tag for shard in registry.shards]


def key_on(registry: Registry, shard: Registry) -> bytes:
    return next(key for number in range(100) if registry.at(key := b"k%d" % number) is shard)


def run_on_each(registry: Registry, name: str = "add.lua", *args: str) -> list[Any]:
    return [run(registry, name, [key_on(registry, shard)], args, by="ann") for shard in registry.shards]


def seen(registry: Registry, cluster: Cluster) -> Snapshot:
    return read_snapshot(registry, cluster.url)


def found(registry: Registry, cluster: Cluster) -> dict[Code, Finding]:
    return {one.code: one for one in findings(seen(registry, cluster))}


def test_records_of_all_shards_are_one_list_by_time(live: Registry) -> None:
    run_on_each(live)
    before = newest_ids(live)
    run_on_each(live)
    records = read_executions(live)
    assert [one.shard for one in records] == tags(live) * 2
    assert [one.time_ms for one in records] == sorted(one.time_ms for one in records)
    assert read_executions(live, 2) == records[-2:]
    assert read_executions(live, until=before) == records[:3]
    assert read_executions(live, 0) == []
    second = live.shards[1].keys.tag
    assert [one.shard for one in read_executions(one_shard(live, second))] == [second] * 2
    with pytest.raises(SettingsError, match=r"no shard 'luasprocs-x'; shards are luasprocs-"):
        one_shard(live, "luasprocs-x")


def test_what_comes_is_followed_on_every_shard(live: Registry) -> None:
    run_on_each(live)
    tails = Tails(live, newest_ids(live))
    assert tails.read() == []
    later = threading.Timer(0.2, run_on_each, [live])
    later.start()
    came: list[str] = []
    while len(came) < 3:
        came += [one.shard for one in tails.read(block_ms=5000)]
    later.join()
    assert sorted(came) == sorted(tags(live))
    assert tails.read() == []


def test_a_shard_that_fails_costs_no_record_of_the_others(live: Registry) -> None:
    tails = Tails(live)
    run_on_each(live)
    broken = live.shards[1]
    kept = broken.client.dump(broken.keys.executions)
    broken.client.set(broken.keys.executions, "x")
    with pytest.raises(Exception, match="is not a stream"):
        tails.read()
    broken.client.restore(broken.keys.executions, 0, kept, replace=True)  # type: ignore[arg-type]
    assert [one.shard for one in tails.read()] == tags(live)


def test_counts_are_added_and_the_newest_run_tells_the_state(live: Registry) -> None:
    run_on_each(live)
    with pytest.raises(Exception, match="boom"):
        run(live, "add.lua", [key_on(live, live.shards[2])], ["boom"], by="ann")
    stats = Stats.parse(stored_stats(live, "add.lua"))
    assert (stats.runs, stats.errors, stats.failing, stats.failed_in_a_row) == (4, 1, True, 1)
    assert sum(runs for _, runs in stats.buckets) == 4
    assert read_stats(live, ["add.lua"])["add.lua"].failing


def test_a_daemon_that_looks_counts_all_shards(live: Registry, cluster: Cluster) -> None:
    run_on_each(live)
    observer = Observer(cluster.url, live.keys, Supervisor(None, None))

    def runs() -> int:
        seen = asyncio.run(observer.fresh())
        return seen.stats["add.lua"].runs if "add.lua" in seen.stats else 0

    until(lambda: runs() == 3)


def test_stats_of_one_server_stay_as_they_are() -> None:
    old = {b"runs": b"3", b"last_run": b"10", b"last_status": b"error", b"le_50": b"3", b"last_missed": b"7"}
    new = {b"runs": b"1", b"last_run": b"11", b"last_status": b"ok", b"le_50": b"1"}
    assert summed([old]) is old
    both = {b"runs": b"4", b"last_run": b"11", b"last_status": b"ok", b"le_50": b"4", b"last_missed": b"7"}
    assert summed([new, old]) == summed([old, {}, new]) == both
    assert summed([error := Exception("x")]) is error
    assert summed([error, new]) == new


def test_jobs_are_listed_by_time_and_dropped_where_they_are(live: Registry) -> None:
    ids = [one.job for one in run_on_each(live, "job.lua") if isinstance(one, Enqueued)]
    jobs = read_jobs(live)
    assert [(job.id, job.shard) for job in jobs] == list(zip(ids, tags(live), strict=True))
    assert count_jobs(live) == {"open": 3, "delayed": 0, "dead": 0}
    done = dict(act(live, "drop", [str(ids[1]), "none"]))
    assert done[str(ids[1])] == "queued"
    assert isinstance(done["none"], JobError)
    assert [job.id for job in read_jobs(live)] == [ids[0], ids[2]]


def test_a_pause_holds_on_every_shard_and_one_that_lacks_it_gets_it(live: Registry, cluster: Cluster) -> None:
    assert pause(live, ["hourly.lua"], by="ann").changed == ("hourly.lua",)
    other = live.shards[1]
    other.client.delete(other.keys.paused, other.keys.pauses)
    assert read_paused(live) == {"hourly.lua"}
    assert [(one.name, one.by) for one in seen(live, cluster).paused] == [("hourly.lua", "ann")]
    assert pause(live, ["hourly.lua"], by="ben").changed == ("hourly.lua",)
    assert pause(live, ["hourly.lua"], by="cid").unchanged == ("hourly.lua",)
    assert all(shard.client.sismember(shard.keys.paused, "hourly.lua") for shard in live.shards)
    assert resume(live, ["hourly.lua"]).changed == ("hourly.lua",)
    assert seen(live, cluster).paused == ()


def test_a_pause_whose_author_is_known_anywhere_is_known(live: Registry, cluster: Cluster) -> None:
    for shard in live.shards:
        shard.client.sadd(shard.keys.paused, "add.lua")
    last = live.shards[2]
    last.client.hset(last.keys.pauses, "add.lua", "1700000000000 ann")
    assert seen(live, cluster).paused == (Pause("add.lua", 1700000000000, "ann"),)


def test_gaps_and_daemons_of_all_shards(live: Registry, cluster: Cluster) -> None:
    for number, shard in enumerate(reversed(live.shards)):
        gap: dict[Any, Any] = {"source": f"s{number}", "from_ms": 1, "to_ms": 2, "why": "w", "daemon": "d"}
        shard.client.xadd(shard.keys.gaps, gap, id=f"{1000 + number}-0")
        seconds, micros = shard.client.time()
        now_ms = seconds * 1000 + micros // 1000
        shard.client.hset(shard.keys.daemons, "d", f'{now_ms + 1500 - number * 60_000} 1 {{"lag": {number}}}')
        shard.client.hset(shard.keys.daemons, f"only{number}", f"{now_ms} 1 {{}}")
    gaps = [("s0", tags(live)[2]), ("s1", tags(live)[1]), ("s2", tags(live)[0])]
    assert [(gap.source, gap.shard) for gap in read_gaps(live)] == gaps
    assert [gap.source for gap in read_gaps(live, 1)] == ["s2"]
    for running in (read_running(live), seen(live, cluster).running):
        assert [(gap.source, gap.shard) for gap in running.gaps] == gaps
        assert [one.id for one in running.daemons] == ["d", "only0", "only1", "only2"]
        assert [one.lag for one in running.alive if one.id == "d"] == [0], "the newest heartbeat counts"


def test_a_schedule_is_listed_once(live: Registry) -> None:
    assert [one.name for one in read_schedules(live).each] == ["hourly.lua"]


def test_what_stands_once_for_all_shards_is_in_the_snapshot(live: Registry, cluster: Cluster) -> None:
    home = live.home
    home.client.hset(home.keys.suspended, mapping={"since": "1700000000", "by": "ann"})
    home.client.hset(home.keys.acknowledged, "gap", "5 6 ben")
    snapshot = seen(live, cluster)
    assert snapshot.suspended is not None
    assert snapshot.suspended.by == "ann"
    assert snapshot.acknowledged[Code.GAP].by == "ben"


def test_the_shards_are_in_the_snapshot(live: Registry, cluster: Cluster) -> None:
    shards = seen(live, cluster).sprocs.shards  # type: ignore[union-attr]
    assert [one.address for one in shards] == [node.address for node in cluster.primaries]
    assert [one.slots for one in shards] == [node.ranges for node in cluster.primaries]
    assert {(one.generation, one.problem) for one in shards} == {(1, "")}
    assert Code.SHARD_DIFFERS not in found(live, cluster)


def test_a_shard_that_was_changed_by_hand_differs(live: Registry, cluster: Cluster) -> None:
    other = live.shards[1]
    other.client.hset(other.keys.revision, "generation", 5)
    one = found(live, cluster)[Code.SHARD_DIFFERS]
    assert (one.names, one.severity) == ((other.keys.tag,), "warning")
    assert "has generation 5, not 1" in one.message


def test_the_first_shard_emptied_is_no_registry_that_never_was(live: Registry, cluster: Cluster) -> None:
    first = live.shards[0]
    first.client.delete(*first.client.keys(f"{{{first.keys.tag}}}:*"))
    first.client.function_flush()
    one = found(live, cluster)[Code.DRIFT]
    assert (one.severity, "generation 1 was live until its keys were deleted" in one.message) == ("error", True)


@pytest.mark.parametrize("away", [0, 1, 2])
def test_a_shard_that_hangs_is_named_and_the_others_are_read(cluster: Cluster, live: Registry, away: int) -> None:
    run_on_each(live)
    node = cluster.nodes[away]
    tag = next(shard.keys.tag for shard in live.shards if any(one in node.ranges for one in shard.ranges))
    node.freeze()
    try:
        others = [one.url for one in cluster.nodes if one is not node]
        registry = open_registry(others[0], lenient=True, socket_timeout=0.5, socket_connect_timeout=0.5)
        snapshot = seen(registry, cluster)
        one = {one.code: one for one in findings(snapshot)}[Code.SHARD_DIFFERS]
        assert (one.names, one.severity) == ((tag,), "error")
        assert node.address in one.message
        assert {one.generation for one in snapshot.sprocs.shards if not one.away} == {1}  # type: ignore[union-attr]
        with pytest.raises(ServerUnreachableError, match=f"{node.address}"), errors_named(cluster.url):
            put(registry, (sproc("new.lua", "return 1"),), about=change())
    finally:
        node.thaw()
    until(lambda: Code.SHARD_DIFFERS not in found(open_registry(cluster.url), cluster))
    assert seen(open_registry(cluster.url), cluster).live.revision.generation == 1  # type: ignore[union-attr]


def test_the_screen_shows_the_others_before_its_patience_ends(cluster: Cluster, live: Registry) -> None:
    node = cluster.at(live.home.keys.shards)
    run_on_each(live)
    backend = RegistryBackend(next(one.url for one in cluster.nodes if one is not node))
    tail = backend.tail("")
    whole = tail.read().records
    began_s = time.monotonic()
    node.freeze()
    try:
        snapshot = backend.snapshot((), full=False)
        others = tail.read().records
        about, jobs, minutes = backend.about("add.lua", 1), backend.jobs(), backend.minutes(["add.lua"])
        generations, schedules = backend.history(), backend.schedules().each
    finally:
        node.thaw()
        backend.close()
    assert time.monotonic() - began_s < REPLY_TIMEOUT_S
    assert [one.address for one in snapshot.shards if one.away] == [node.address]
    assert {one.generation for one in snapshot.shards if not one.away} == {1}
    assert [row.name for row in snapshot.rows] == sorted(one.name for one in SPROCS)
    assert (len(whole), len(others)) == (3, 2)
    assert {one.id for one in others} < {one.id for one in whole}
    assert (about.stats.runs, [one.id for one in about.runs]) == (2, [one.id for one in reversed(others)])
    assert ([*jobs], [*minutes], [one.generation for one in generations]) == ([], ["add.lua"], [1])
    assert [one.name for one in schedules] == ["hourly.lua"]
