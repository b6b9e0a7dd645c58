"""Writers to a cluster that keep their own ledger: what they set and enqueued, and when. The check is against it alone."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from luasprocs.contract.keys import Keys
from tests.background import Background
from tests.cluster.registries import tags
from tests.faults.ledger import Written

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from tests.clusters import Cluster

PLACES = ("home", "a", "bb", "ccc")
"""What the schedules have as `at`: a slot each."""
SPROCS = {
    "count": "-- event=set\n-- key=ev:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n",
    "bucket": "-- event=set\n-- key=bk:*\nlocal tag = KEYS[1]:match('{.-}')\n"
    "redis.call('HINCRBY', 'all:' .. tag, KEYS[1], 1)\nredis.call('INCR', 'sum:' .. tag)\n",
    "job": "-- runasync=yes\n-- overlap=allow\n-- retries=5\n-- backoff=100ms\nredis.call('INCR', 'done:' .. KEYS[1])\n",
    **{f"each_{at}": f"-- every=1s\n-- at={at}\nredis.call('RPUSH', 'times:{{{at}}}', ARGV[1])\n" for at in PLACES},
}
BUCKETS = 60
JOBS_RATE = 5


class Writers(Background):
    """Threads that set keys nobody set before, `rate` a second each; one more enqueues jobs."""

    def __init__(self, cluster: Cluster, count: int = 8, rate: int = 60) -> None:
        self._cluster, self._rate = cluster, rate
        self._ledgers: list[list[Written]] = [[] for _ in range(count + 1)]
        super().__init__(self._write, count + 1)
        self.errors: Counter[str] = Counter()

    @property
    def events(self) -> list[Written]:
        return [entry for ledger in self._ledgers[:-1] for entry in ledger]

    @property
    def jobs(self) -> list[Written]:
        return self._ledgers[-1]

    def _client(self) -> redis.RedisCluster:
        nodes = [redis.cluster.ClusterNode("127.0.0.1", node.port) for node in self._cluster.nodes if node.pid]
        once = Retry(NoBackoff(), 0)  # a try anew would be a second event
        return redis.RedisCluster(startup_nodes=nodes, protocol=2, retry=once, socket_timeout=5)

    def _write(self, number: int) -> None:
        client: Any = None
        for sequence in itertools.count():
            if self.stopping.is_set():
                break
            key = self._key(number, sequence)
            started_s, after_ms, sure = time.monotonic(), _now_ms(), False
            try:
                client = client or self._client()
                if number == len(self._ledgers) - 1:
                    node = client.get_node_from_key(key)
                    client.execute_command("FCALL", "luasprocs_enqueue", 1, key, "job.lua", "-", 1, target_nodes=node)
                else:
                    client.set(key, "1")
                sure = True
            except (
                redis.RedisError,
                redis.exceptions.RedisClusterException,
                OSError,
                KeyError,
                AttributeError,
                IndexError,
            ) as error:
                self.errors[f"{type(error).__name__}: {error}"[:90]] += 1
                if client and not isinstance(error, redis.ResponseError):
                    client.close()
                    client = None
                self.stopping.wait(0.05)
            self._ledgers[number].append(Written(key, after_ms, _now_ms(), sure))
            rate = JOBS_RATE if number == len(self._ledgers) - 1 else self._rate
            self.stopping.wait(max(0.0, 1 / rate - (time.monotonic() - started_s)))
        if client:
            client.close()

    def _key(self, number: int, sequence: int) -> str:
        if number == len(self._ledgers) - 1:
            return f"jb:{{{sequence}}}"
        if number % 2:
            return f"bk:{{b{sequence % BUCKETS}}}:{number}:{sequence}"
        return f"ev:{{{number}.{sequence}}}"


def _now_ms() -> int:
    return round(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Effects:
    """What sprocs have done: runs by key of event, by key of job, times of each schedule, and the buckets' sums."""

    ran: Counter[str]
    done: Counter[str]
    times: dict[str, list[int]]
    sums: int


def effects(cluster: Cluster) -> Effects:
    """Read of all primaries."""
    ran: Counter[str] = Counter()
    done: Counter[str] = Counter()
    times: dict[str, list[int]] = {}
    sums = 0
    for node in cluster.primaries:
        with redis.Redis(port=node.port, protocol=2, decode_responses=True) as client:
            keys = [
                key for word in ("ran:*", "all:*", "done:*", "times:*", "sum:*") for key in client.scan_iter(word, 1000)
            ]
            pipe = client.pipeline(transaction=False)
            for key in keys:
                if key.startswith("all:"):
                    pipe.hgetall(key)
                elif key.startswith("times:"):
                    pipe.lrange(key, 0, -1)
                else:
                    pipe.get(key)
            for key, value in zip(keys, pipe.execute(), strict=True):
                word, _, rest = key.partition(":")
                if word == "ran":
                    ran[rest] += int(value)
                elif word == "all":
                    ran.update({name: int(count) for name, count in value.items()})
                elif word == "done":
                    done[rest] += int(value)
                elif word == "times":
                    times[rest] = [int(one) for one in value]
                else:
                    sums += int(value)
    return Effects(ran, done, times, sums)


def gaps(cluster: Cluster) -> list[tuple[int, int, str]]:
    """From and to (ms), and why, of all shards."""
    found = []
    for tag in tags(cluster):
        node = cluster.at(f"{{{tag}}}")
        with redis.Redis(port=node.port, protocol=2, decode_responses=True) as client:
            entries: Any = client.xrange(Keys(tag=tag).gaps)
        found += [(int(f["from_ms"]), int(f["to_ms"]), f["why"]) for _, f in entries]
    return sorted(found)


def lost_by_servers(cluster: Cluster, keys: Iterable[str]) -> set[str]:
    """Of what was acknowledged, what no node has: replication is asynchronous, and nobody hears what a server has lost."""
    with redis.RedisCluster("127.0.0.1", cluster.primaries[0].port, protocol=2) as client:
        return {key for key in keys if not client.exists(key)}


def repeats(cluster: Cluster) -> int:
    """How many events are told to have run twice, perhaps, on all shards."""
    found: Any = []
    for tag in tags(cluster):
        with redis.Redis(port=cluster.at(f"{{{tag}}}").port, protocol=2, decode_responses=True) as client:
            found += client.xrange(Keys(tag=tag).gaps)
    return sum(int(fields["events"]) for _, fields in found if fields.get("kind") == "repeat")


def check(
    writers: Writers, found: Effects, holes: list[tuple[int, int, str]], waiting: Container[str], told: int = 0
) -> None:
    """Nothing ran twice beyond what is `told`, and what did not run lies in a gap.

    `waiting`: the keys of jobs that have not run, or are dead, and of what servers have lost.
    A job may run twice. A schedule's time runs once; those that were missed are recorded as missed.
    """

    def in_a_gap(one: Written) -> bool:
        return any(first <= one.before_ms and one.after_ms <= last for first, last, _ in holes)

    twice = {key: times for key, times in found.ran.items() if times != 1}
    assert sum(twice.values()) - len(twice) <= told, (
        f"ran more than once: {dict(list(twice.items())[:5])}, told: {told}"
    )
    assert not found.ran.keys() - {one.key for one in writers.events}, "ran for what nobody wrote"
    silent = [
        one
        for one in writers.events
        if one.sure and one.key not in found.ran and one.key not in waiting and not in_a_gap(one)
    ]
    assert not silent, f"{len(silent)} of {len(writers.events)} lost in silence, like {silent[:3]}; gaps: {holes}"
    vanished = [
        one
        for one in writers.jobs
        if one.sure and one.key not in found.done and one.key not in waiting and not in_a_gap(one)
    ]
    assert not vanished, f"{len(vanished)} of {len(writers.jobs)} jobs have vanished, like {vanished[:3]}"
    assert found.sums == sum(count for key, count in found.ran.items() if key.startswith("bk:"))
    assert len(found.times) == len(PLACES)
    for times in found.times.values():
        assert times == sorted(set(times)), "a time of a schedule ran twice"
