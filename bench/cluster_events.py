"""Events of a cluster's three shards against those of one: how many a second of the servers' processor time, and of the daemon's.

The one is a cluster, too: what its mode costs the server itself (it looks at each key's slot) can't be won back here. Nor can
what three servers on a machine's few cores take from each other, their caches above all: the bare loop's servers pay that too,
so the servers are measured as a part of the bare loop's.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from redis import Redis

from bench.events import bare_loop, daemons
from bench.pairs import Result, ratio
from bench.servers import cluster, kinds
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.operations.put import put
from luasprocs.server.fleet import open_registry
from luasprocs.server.slots import SLOTS, slot_of
from luasprocs.state.stats import Stats, stored_stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.server.embedded import EmbeddedServer

EVENTS = 90_000
PIPELINE = 500
PAIRS = 3
NAME = "seen.lua"
SOURCE = b"-- event=set\n-- key=dream:*\nredis.call('HINCRBY', '{' .. sproc.shard .. '}fired', KEYS[1], 1)"


class _Spent(NamedTuple):
    """Events a second of processor time. `server`: as a part of the bare loop's."""

    server: float
    daemon: float


def _cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _servers_s(nodes: Sequence[EmbeddedServer]) -> float:
    return sum(_cpu_s(node.pid) for node in nodes)


def _tags(nodes: Sequence[EmbeddedServer]) -> list[str]:
    """A hash tag of each node: they share the slots evenly."""
    found: dict[int, str] = {}
    for number in range(1000):
        found.setdefault(slot_of(b"%d" % number) * len(nodes) // SLOTS, str(number))
    return [found[place] for place in range(len(nodes))]


def _write(nodes: Sequence[EmbeddedServer]) -> None:
    pipes = [(tag, Redis(port=node.port, protocol=2)) for tag, node in zip(_tags(nodes), nodes, strict=True)]
    for first in range(0, EVENTS, PIPELINE):
        tag, client = pipes[first // PIPELINE % len(pipes)]
        pipe = client.pipeline(transaction=False)
        for number in range(first, first + PIPELINE):
            pipe.set(f"dream:{{{tag}}}:{number % 1000}", "v")
        pipe.execute()
    for _, client in pipes:
        client.close()


def _measure(nodes: Sequence[EmbeddedServer]) -> _Spent:
    registry = open_registry(nodes[0].url)
    put(registry, [read_sproc(NAME, NAME, SOURCE, git_blob_id(SOURCE))])

    def ran() -> int:
        return Stats.parse(stored_stats(registry, NAME)).runs

    with daemons(nodes[0].port) as (daemon,):
        before = ran()
        servers_s, daemon_s = _servers_s(nodes), _cpu_s(daemon.pid)
        _write(nodes)
        deadline_s = time.monotonic() + 120
        while (found := ran() - before) < EVENTS:
            assert time.monotonic() < deadline_s, f"{found} of {EVENTS} events ran"
            time.sleep(0.2)
        servers_s, daemon_s = _servers_s(nodes) - servers_s, _cpu_s(daemon.pid) - daemon_s
    return _Spent(_bare_servers_s(nodes) / servers_s, EVENTS / daemon_s)


def _bare_servers_s(nodes: Sequence[EmbeddedServer]) -> float:
    """The servers' processor time for the same events by the bare loop."""
    places = [(node.port, f"{{{tag}}}") for node, tag in zip(nodes, _tags(nodes), strict=True)]
    with bare_loop(EVENTS, *places) as loop:
        before_s = _servers_s(nodes)
        _write(nodes)
        assert loop.wait(120) == 0
        return _servers_s(nodes) - before_s


class _Twice:
    """A measurement gives two numbers: the one that is asked for first takes it, the other one has it."""

    def __init__(self, nodes: Sequence[EmbeddedServer]) -> None:
        self._nodes = nodes
        self._taken: dict[str, list[float]] = defaultdict(list)

    def __call__(self, which: str) -> float:
        if not self._taken[which]:
            for name, value in _measure(self._nodes)._asdict().items():
                self._taken[name].append(value)
        return self._taken[which].pop(0)


def results() -> Iterator[Result]:
    for kind in kinds():
        with cluster(kind) as nodes, cluster(kind, 1) as single:
            three, one = _Twice(nodes), _Twice(single)
            for which, unit, at_least in (("server", "events/bare loop's", 0.9), ("daemon", "events/s", 0.85)):
                yield ratio(
                    f"events of 3 shards / of one shard, {kind} ({unit} of the {which}'s processor time)",
                    partial(three, which), partial(one, which), PAIRS, at_least=at_least,
                )  # fmt: skip
