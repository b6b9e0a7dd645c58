"""What the engine of a promoted replica does with the epoch: carries it on, waits for who may do that, or begins another."""

from __future__ import annotations

import json

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import LEASE_MS
from tests.live import put, sproc
from tests.until import until

PROMPT, FORCED, CARRY, LOST = range(4)
KEYS = Keys(tag="luasprocs-1")


@pytest.fixture
def promoted(own_server):
    """A client of a replica that became a primary, and the epoch that it had; the last tick was the third."""
    old, new = own_server(), own_server()
    client = old.client()
    put(client, sproc("a.lua", "return 1"), keys=KEYS)
    for _ in range(3):
        epoch, _ = tick(client, FORCED)
    beat(client, epoch)
    replica = new.client()
    replica.replicaof("127.0.0.1", old.port)
    until(
        lambda: replica.info("replication")["master_link_status"] == "up" and replica.hget(KEYS.events, "tick") == b"3"
    )
    replica.replicaof("NO", "ONE")
    return replica, epoch


def tick(client, forced):
    return client.fcall(KEYS.function("tick"), 0, 250, forced)


def beat(client, epoch, late_ms=0, **covers):
    """A heartbeat of a daemon that hears a source, unless `covers` says otherwise."""
    seconds, microseconds = client.time()
    said = json.dumps({"epoch": epoch.decode(), "covers": covers or {"source": 1}})
    client.hset(KEYS.daemons, "daemon", f"{seconds * 1000 + microseconds // 1000 - late_ms} 3 {said}")


def test_the_epoch_is_carried_on_by_the_first_who_can(promoted):
    client, epoch = promoted
    with client.pubsub() as heard:
        heard.subscribe(KEYS.ticks)
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        assert tick(client, CARRY) == [epoch, 4, 1]
        assert heard.get_message(timeout=5)["data"].split()[1:3] == [epoch, b"4"]
    assert tick(client, CARRY) == [epoch, 5]
    assert tick(client, LOST) == [epoch, 6]


@pytest.mark.parametrize("forced", [PROMPT, FORCED])
def test_it_waits_for_a_lease_while_a_daemon_that_listened_seems_alive(promoted, forced):
    client, epoch = promoted
    beat(client, epoch)
    assert tick(client, forced) == [epoch, 4]
    assert client.hget(KEYS.events, "tick") == b"3", "that tick is to come"
    assert tick(client, forced) == [epoch, 4]
    client.hincrby(KEYS.events, "waits", -LEASE_MS)
    other, number = tick(client, forced)
    assert (other != epoch, number) == (True, 1)


def test_it_waits_for_nobody(promoted):
    client, epoch = promoted
    beat(client, epoch, late_ms=LEASE_MS)
    assert tick(client, PROMPT)[0] != epoch


def test_who_has_lost_its_connection_begins_another_epoch_at_once(promoted):
    client, epoch = promoted
    beat(client, epoch)
    assert tick(client, PROMPT)[0] == epoch
    assert tick(client, LOST)[0] != epoch
    assert len(tick(client, CARRY)) == 2, "there is nothing to carry on any more"
