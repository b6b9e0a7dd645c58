"""Hash slots, tags within a range, and what CLUSTER SLOTS says: against the servers' own word."""

from __future__ import annotations

import pytest

from luasprocs.server.cluster import parse_slots
from luasprocs.server.slots import SLOTS, SlotRange, is_tag, slot_of, tag_within

NAMES = [
    *(b"", b"a", b"foo", b"123456789", b"\x00\xff\r\n", "caf\u00e9\U0001f980".encode(), b"x" * 1000),
    *(b"{a}b", b"b{a}", b"{}a", b"{a", b"a}", b"}{a}", b"{{a}}", b"{a}{b}", b"a{}{b}", b"{luasprocs-7}:k"),
]


def test_slots_are_those_of_the_server(cluster):
    assert [slot_of(name) for name in NAMES] == [cluster.nodes[0].ask("CLUSTER", "KEYSLOT", name) for name in NAMES]


@pytest.mark.parametrize("first", [0, 1, 5461, 10922, 16000, 16383])
@pytest.mark.parametrize("count", [1, 2, 512, 5462])
def test_a_tag_lies_near_the_top_of_a_range(first, count):
    own = SlotRange(first, min(first + count, SLOTS) - 1)
    tag = tag_within([own])
    assert is_tag(tag)
    assert max(own.first, own.last - 15) <= slot_of(tag.encode()) <= own.last
    assert tag == tag_within([own])


def test_a_tag_lies_in_the_highest_slots_of_all_ranges():
    ranges = [SlotRange(300, 303), SlotRange(0, 9), SlotRange(100, 200)]
    assert slot_of(tag_within(ranges).encode()) in {*range(189, 201), *range(300, 304)}
    assert slot_of(tag_within([*ranges, SlotRange(9000, 9100)]).encode()) in SlotRange(9085, 9100)


def test_the_primaries_are_those_of_the_cluster(replicated):
    found = parse_slots(raw_slots(replicated), "asked")
    primaries, replicas = replicated.nodes[:3], replicated.nodes[3:]
    assert [one.id for one in found] == [node.id for node in primaries]
    assert [one.address[1] for one in found] == [node.port for node in primaries]
    assert [one.ranges for one in found] == [node.ranges for node in primaries]
    assert [one.replicas[0][1] for one in found] == [node.port for node in replicas]


def raw_slots(cluster):
    """The reply as it comes: redis-py makes something else of it."""
    client = cluster.nodes[0].client()
    client.response_callbacks.clear()
    return client.execute_command("CLUSTER", "SLOTS")


def test_a_node_that_does_not_know_its_name_is_where_it_was_asked():
    other, own, replica = [b"10.0.0.2", 7001, b"two"], [b"", 7000, b"one"], [b"?", 7002, b"three"]
    reply = [[200, 300, own, replica], [0, 99, own, replica], [100, 199, other]]
    one, two = parse_slots(reply, "seed")
    assert (one.address, one.ranges, one.replicas) == (
        ("seed", 7000), (SlotRange(0, 99), SlotRange(200, 300)), (("seed", 7002),),
    )  # fmt: skip
    assert (two.address, two.serves(100), two.serves(200)) == (("10.0.0.2", 7001), True, False)
