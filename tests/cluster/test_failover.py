"""A failover in order is no gap: against a ledger of what was written meanwhile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cluster.registries import keys_on
from tests.cluster.writing import Writing
from tests.daemons import DaemonProcess
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from tests.clusters import Cluster, Node

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
COUNTS = "-- event=set\n-- key=x:*,y:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n"
GONE = "-- event=del\n-- key=z:*,y:*\nreturn 1\n"
CARRIED = "events are carried over from the demoted server"
FAILOVERS = 20 if SOAK else 2


def replica_of(cluster: Cluster, primary: Node) -> Node:
    return next(one for one in cluster.nodes if not one.is_primary and one.ask("ROLE")[2] == primary.port)


def carried(daemons: list[DaemonProcess], times: int) -> bool:
    return sum(one.output.count(CARRIED) for one in daemons) >= times


def gaps_on(cluster: Cluster, node: Node) -> list[dict[str, str]]:
    found = node.ask("XRANGE", keys_on(cluster, node).gaps, "-", "+")
    return [dict(fields) for _, fields in found]


def test_a_failover_in_order_is_no_gap(replicated, shell, monkeypatch):
    cluster = replicated
    monkeypatch.setenv("LUASPROCS_REDIS", cluster.url)
    shell.commit(ev=COUNTS, gone=GONE)
    shell.ok("sync")
    daemons = [DaemonProcess(cluster.url).spawn() for _ in range(2)]
    try:
        for one in daemons:
            one.until(" listening")
        with cluster.redis_cluster() as client, Writing(client) as writing:
            for turn in range(FAILOVERS):
                before = len(writing.keys)
                until(lambda: len(writing.keys) > before + 50)  # noqa: B023  # called at once
                primary = cluster.primaries[0]
                cluster.fail_over(replica_of(cluster, primary))
                until(partial(carried, daemons, turn + 1), 20, lambda: "\n".join(one.output for one in daemons))
        with cluster.redis_cluster() as client:
            wanted = [b"1"] * len(writing.keys)
            until(lambda: [client.get(f"ran:{key}") for key in writing.keys] == wanted)
        gaps = [entry["source"] for node in cluster.primaries for entry in gaps_on(cluster, node)]
        assert gaps == ["__keyevent@0__:del"] * FAILOVERS  # a replica says `del` of what expired, too
    finally:
        for one in daemons:
            one.kill()
