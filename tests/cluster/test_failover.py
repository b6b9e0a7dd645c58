"""A failover in order is no gap: against a ledger of what was written meanwhile. In the long form none of twenty is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.registries import keys_on
from tests.cluster.writing import Writing
from tests.daemons import DaemonProcess
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from redis import RedisCluster

    from tests.clusters import Cluster

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
COUNTS = "-- event=set\n-- key=x:*,y:*\nredis.call('INCR', 'ran:' .. KEYS[1])\n"
GONE = "-- event=del\n-- key=z:*,y:*\nreturn 1\n"
CARRIED = "events are carried over from the demoted server"
FAILOVERS = 20 if SOAK else 2


def carried(daemons: list[DaemonProcess]) -> int:
    return sum(one.output.count(CARRIED) for one in daemons)


def gaps_of(cluster: Cluster) -> list[dict[str, str]]:
    each = [node.ask("XRANGE", keys_on(cluster, node).gaps, "-", "+") for node in cluster.primaries]
    return [dict(fields) for entries in each for _, fields in entries]


def gapped(cluster: Cluster) -> int:
    """How many failovers were a gap after all: if a machine stalls for longer than a lease, daemons take each other for dead."""
    return sum(gap["source"] == "__keyevent@0__:set" for gap in gaps_of(cluster))


def wrong(client: RedisCluster, keys: list[str]) -> dict[str, object]:
    """The keys for which the sproc did not run once."""
    ran = ((key, client.get(f"ran:{key}")) for key in keys)
    return {key: times for key, times in ran if times != b"1"}


def test_a_failover_in_order_is_no_gap(replicated, shell, monkeypatch):
    cluster = replicated
    monkeypatch.setenv("LUASPROCS_REDIS", cluster.url)
    shell.commit(ev=COUNTS, gone=GONE)
    shell.ok("sync")
    daemons = [DaemonProcess(cluster.url).spawn() for _ in range(2)]

    def outputs() -> str:
        return "\n".join(one.output for one in daemons)

    try:
        for one in daemons:
            one.until(" listening")
        with cluster.redis_cluster() as client, Writing(client) as writing:
            for turn in range(FAILOVERS):
                before = len(writing.keys)
                until(lambda: len(writing.keys) > before + 50)  # noqa: B023  # called at once
                pair = cluster.nodes[turn // 2 % 3 :: 3]  # there and back
                cluster.fail_over(next(one for one in pair if not one.is_primary))
                until(lambda: carried(daemons) + gapped(cluster) > turn, what=outputs)  # noqa: B023  # called at once
        with cluster.redis_cluster() as client:
            until(
                lambda: gapped(cluster) or not wrong(client, writing.keys),
                what=lambda: (wrong(client, writing.keys), gaps_of(cluster)),
            )
            assert set(wrong(client, writing.keys).values()) <= {None}
        assert gapped(cluster) < (1 if SOAK else FAILOVERS), gaps_of(cluster)
    finally:
        for one in daemons:
            one.kill()
