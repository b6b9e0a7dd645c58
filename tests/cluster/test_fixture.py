"""The clusters of the tests themselves."""

from __future__ import annotations


def test_three_primaries_share_the_slots(cluster):
    assert [node.slots() for node in cluster.primaries] == [5461, 5461, 5462]


def test_a_slot_moves_with_its_keys_and_back(cluster):
    names = [f"{{a}}{number}" for number in range(250)]
    source = cluster.at("{a}")
    target = next(node for node in cluster.nodes if node is not source)
    for name in names:
        source.ask("SET", name, name)
    slot = source.ask("CLUSTER", "KEYSLOT", "a")
    assert cluster.move_slot(slot, source, target) == len(names)
    assert target.ask("MGET", *names) == names
    assert cluster.serving(slot) is target
    cluster.move_slot(slot, target, source)
    assert source.ask("DBSIZE") == len(names)
    assert cluster.as_started()


def test_settings_and_data_do_not_stay(cluster):
    cluster.configure(notify_keyspace_events="KA")
    cluster.flush()
    assert {node.ask("CONFIG", "GET", "notify-keyspace-events")[1] for node in cluster.nodes} == {""}


def test_a_replica_takes_over(replicated):
    primary, replica = replicated.nodes[0], replicated.nodes[3]
    name = next(f"{number}" for number in range(100) if replicated.at(f"{number}") is primary)
    primary.ask("SET", name, "1")
    assert primary.ask("WAIT", 1, 5000) == 1
    replicated.fail_over(replica)
    assert replicated.serving(0) is replica
    assert replica.ask("GET", name) == "1"
    replicated.fail_over(primary)
    assert replicated.serving(0) is primary
    assert replicated.as_started()
