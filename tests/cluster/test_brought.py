"""What a migration of slots brings is found by what its source publishes: on a real one, and as a rule."""

from __future__ import annotations

import asyncio
import threading
from itertools import count, cycle
from typing import TYPE_CHECKING

import pytest
import redis

from luasprocs.runtime.bindings import Binding
from luasprocs.runtime.brought import CARRIED, Brought, Migration, last_found
from luasprocs.runtime.source import Published
from luasprocs.runtime.witness import Witness, Witnesses
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.slots import SLOTS, SlotRange, marked, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clusters import Cluster, Node

RANGE = SlotRange(0, 99)
TAG = next(tag for number in count() if slot_of((tag := f"t{number}").encode()) in RANGE)
ALL = Binding(b"__keyevent@0__:*", True, lambda _, __: (), ())
OLD = 20_000
"""So many keys come before, that what is written meanwhile has to wait, and what lives for 2 ms is dead when it comes."""
ROUNDS = 1_000_000
"""More than one migration sees, so that each has keys of its own."""
ROUND = """SET s{0} v | SET short{0} v PX 2 | SETRANGE short{0} 0 w | INCR n{0} | DECR n{0} | APPEND s{0} x | SETRANGE s{0} 0 y
HSET h{0} f 1 g 1 | HINCRBY h{0} n 1 | HDEL h{0} f | HSETEX hx{0} PX 2 FIELDS 1 f v | RPUSH l{0} a b c | LPUSH l{0} x y
LSET l{0} 0 z | LINSERT l{0} BEFORE z w | LREM l{0} 0 a | LTRIM l{0} 0 9 | LPOP l{0} | RPOP l{0} | SADD t{0} a b c | SREM t{0} a
SPOP t{0} | ZADD z{0} 1 a 2 b | ZADD z{0} INCR 1 a | ZREM z{0} a | XADD x{0} * f v | INCRBYFLOAT f{0} 1.5 | RPUSH gone{0} a b
PEXPIRE gone{0} 2 | LPOP gone{0} | DEL s{0} | SET hot v | SET hot v PX 2""".replace("\n", " | ").split(" | ")


def commands(number: int) -> Iterator[list[str]]:
    for line in ROUND:
        command, key, *rest = line.format(number).split()
        yield [command, f"{{{TAG}}}{key}", *rest]


class _Writer:
    """Writes rounds from `start` on, first to one node, then to where it sends us. `first`: the one that began there."""

    def __init__(self, source: Node, start: int) -> None:
        self.first, self._start, self._port, self._stop = 0, start, source.port, threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        client = redis.Redis(port=self._port)
        for number in count(self._start):
            if self._stop.is_set():
                return
            for command in commands(number):
                try:
                    client.execute_command(*command)
                except redis.exceptions.MovedError as moved:
                    assert not self.first
                    self.first = number + 1
                    client = redis.Redis(port=moved.port)
                    client.execute_command(*command)
                except redis.ResponseError:  # what is short-lived may be gone before the next command
                    pass


async def heard(
    cluster: Cluster, source: Node, target: Node, start: int
) -> tuple[list[Published], list[Published], int]:
    """A migration under writes: what its source published after its first event, all that the target did, and the writer's
    first round there.
    """
    witnesses = Witnesses()
    try:
        at_source, at_target = [await opened(witnesses, node) for node in (source, target)]
        at_target.hear([ALL])
        with _Writer(source, start) as writer:
            source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *RANGE, "NODE", target.id)
            await until(lambda: bool(at_target.published))
            at_source.hear([ALL])
            await until(lambda: writer.first > 0)
            await asyncio.sleep(0.3)
        for one in (at_source, at_target):
            one.end()
            await one.whole
        return at_source.published, at_target.published, writer.first
    finally:
        for one in (at_source, at_target):
            witnesses.give_back(one)
        witnesses.close()
        cluster.until_whole()


async def until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110  # of another thread, or a connection
        await asyncio.sleep(0.001)


async def opened(witnesses: Witnesses, node: Node) -> Witness:
    witness = await witnesses.take(node.url, Endpoint.of(node.url))
    assert witness is not None
    return witness


@pytest.mark.parametrize("server_kind", ["valkey"])
@pytest.mark.timeout(120)
def test_all_that_a_migration_brings_is_found_and_nothing_that_is_written_then(cluster: Cluster) -> None:
    source, target = cluster.nodes[:2]
    """Until all kinds of events have come: on a busy machine a round may take longer than a migration."""
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "notify-keyspace-events", "AKE")
    with source.client().pipeline(transaction=False) as pipe:
        for number in range(OLD):
            pipe.set(f"{{{TAG}}}old:{number}", "v" * 50)
        pipe.execute()
    seen, pairs, start = set[bytes](), cycle([(source, target), (target, source)]), 0
    while seen != CARRIED:
        start += ROUNDS
        published, stream, first = asyncio.run(heard(cluster, *next(pairs), start))
        brought = last_found(published, stream)
        assert brought
        written = next(at for at, one in enumerate(stream) if one.key.endswith(b"}s%d" % first))
        last = max((at for at, one in enumerate(stream) if one.key.endswith(b"}n%d" % (first - 2))), default=-1)
        assert last < brought <= written
        seen |= {one.event for one in published}


def event(key: str, name: str = "set") -> Published:
    return Published(b"src", key.encode(), name.encode())


@pytest.mark.parametrize(
    ("wanted", "stream", "position"),
    [
        ("abc", "xaxbxcxx", 6),
        ("", "abc", 0),
        ("aa", "aab", 2),
        ("ab", "aabab", 3),  # the earliest: what follows may have been written there
        ("abz", "ab", 0),  # it isn't all there: nothing is sure
    ],
)
def test_the_last_is_found_where_it_can_be_first(wanted: str, stream: str, position: int) -> None:
    assert last_found(map(event, wanted), list(map(event, stream))) == position


def test_only_the_events_of_its_slots_are_told_apart() -> None:
    other = next(key for number in count() if slot_of((key := f"k{number}").encode()) not in RANGE)
    key = f"{{{TAG}}}a"
    slots = marked([RANGE])
    brought = Brought(slots, [event(other), event(key)], [event(other), event(key), event(key)])
    assert brought.among([event(key), event(key)]) == 1
    assert Brought(slots, [event(key)], [event(key)]).among([event(key)]) == 0


def job(name: str, state: str, operation: str = "IMPORT") -> list[bytes | int]:
    fields = {"name": name, "operation": operation, "slot_ranges": "0-9 20", "source_node": "n1", "state": state}
    return [word for field, value in fields.items() for word in (field.encode(), value.encode())]


@pytest.mark.parametrize(
    ("slot", "jobs", "found"),
    [
        (20, [job("a", "receiving-snapshot")], "a"),
        (21, [job("a", "receiving-snapshot")], None),
        (5, [job("b", "success"), job("a", "success", "EXPORT")], "b"),
        (5, [job("b", "snapshotting", "EXPORT"), job("a", "success")], None),  # it is on its way on
        (5, [job("b", "receiving-snapshot"), job("a", "failed")], None),
    ],
)
def test_a_slot_comes_by_its_last_migration_unless_one_before_has_failed(
    slot: int, jobs: list[list[bytes | int]], found: str | None
) -> None:
    one = Migration.of(slot, Migration.parse(jobs))
    assert (one.name.decode() if one else None) == found
    assert len(marked([RANGE])) == SLOTS
