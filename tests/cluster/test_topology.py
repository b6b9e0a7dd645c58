"""Primaries that come, go and change, and a registry's own slot that moves: what the next command makes of it."""

from __future__ import annotations

import pytest

from luasprocs.errors import ConflictError
from luasprocs.operations.put import put
from luasprocs.server.fleet import open_registry
from luasprocs.server.slots import slot_of
from tests.cluster.registries import everywhere, held, keys_on, same, tags
from tests.live import change, sproc
from tests.until import until

SLOTS = 90
SET = "redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]"


def generation_in(cluster):
    return max(tags(cluster).values())


def test_a_primary_that_came_gets_the_registry_and_one_that_goes_is_forgotten(shell, cluster):
    shell.commit(a=SET)
    shell.ok("sync")
    before = set(tags(cluster))
    new, known = cluster.add(), cluster.nodes[0].address
    cluster.cli("add-node", new.address, known)
    until(lambda: all(len(node.lines()) == 4 for node in cluster.nodes))
    reshard(cluster, [node.id for node in cluster.nodes[:3]], new)

    shell.ok("sync")
    same(cluster, generation_in(cluster), a=SET)
    assert before < set(tags(cluster))
    assert len(open_registry(cluster.url).shards) == 4
    key = next(f"k{number}" for number in range(1000) if cluster.at(f"k{number}") is new)
    assert cluster.cli("FCALL", "luasprocs_execute", "1", key, "a.lua", "v", node=cluster.nodes[0]) == "v\n"

    reshard(cluster, [new.id], cluster.nodes[0])
    assert not new.slots()
    cluster.cli("del-node", known, new.id)
    cluster.nodes.remove(new)
    new.kill()
    cluster.until_whole()
    shell.ok("sync")
    same(cluster, generation_in(cluster), a=SET)
    assert len(tags(cluster)) == 3
    assert shell.ok("status", "--json").json["in_sync"]


def reshard(cluster, sources, target):
    """Moves SLOTS slots by redis-cli: each takes it some 10 ms, so that `rebalance` would take a minute."""
    words = ("--cluster-from", ",".join(sources), "--cluster-to", target.id, "--cluster-slots", str(SLOTS))
    cluster.cli("reshard", cluster.nodes[0].address, *words, "--cluster-yes")
    cluster.until_whole()


def test_after_a_failover_the_next_command_works(guarded, replicated):
    guarded.commit(a=SET)
    guarded.ok("sync")
    for number in (0, 2):
        primary, replica = replicated.nodes[number], replicated.nodes[number + 3]
        assert primary.ask("WAIT", 1, 10_000) == 1
        replicated.fail_over(replica)
        assert guarded.ok("status", "--json").json["in_sync"]
        key = next(
            key for key in map("k{}".format, range(99)) if any(slot_of(key.encode()) in one for one in primary.ranges)
        )
        assert guarded.ok("execute", "a.lua", "--key", key, "v").out == "v\n"
        assert replicated.at(key).ask("GET", key) == "v"
    guarded.commit(a="return 2")
    guarded.ok("sync")
    same(replicated, 2, a="return 2")


def test_after_a_primary_was_killed_the_next_command_works(guarded, replicated):
    guarded.commit(a=SET)
    guarded.ok("sync")
    primary, replica = replicated.nodes[0], replicated.nodes[3]
    assert primary.ask("WAIT", 1, 10_000) == 1
    primary.kill()
    until(lambda: replica.is_primary and replica.state()["cluster_state"] == "ok")
    until(lambda: guarded("status", "--json").code == 0)
    guarded.commit(a="return 2")
    guarded.ok("sync")
    same(replicated, 2, a="return 2")


@pytest.mark.parametrize("place", range(3))
def test_the_slot_of_a_registry_moves_to_another_primary(shell, cluster, place):
    shell.commit(a="return 1")
    shell.ok("sync")
    source, target = cluster.nodes[place], cluster.nodes[(place + 1) % 3]
    old, its = keys_on(cluster, source).tag, keys_on(cluster, target).tag
    cluster.move_slot(slot_of(old.encode()), source, target)

    assert "shard" in shell("plan").out + shell("plan").err
    shell.ok("sync")
    same(cluster, generation_in(cluster), a="return 1")
    new = keys_on(cluster, source).tag
    assert new not in {old, its}
    assert keys_on(cluster, target).tag == its
    assert old not in tags(cluster)
    shell.commit(a="return 2")
    shell.ok("sync")
    same(cluster, generation_in(cluster), a="return 2")
    for node in cluster.nodes:
        key = next(f"k{number}" for number in range(1000) if cluster.at(f"k{number}") is node)
        assert cluster.cli("FCALL", "luasprocs_execute", "1", key, "a.lua", node=node) == "2\n"

    cluster.move_slot(slot_of(old.encode()), target, source)
    shell.ok("sync")
    same(cluster, generation_in(cluster), a="return 2")
    assert len(everywhere(cluster)) == 3


def test_the_slot_of_the_directory_moves(shell, cluster):
    shell.commit(a="return 1")
    shell.ok("sync")
    slot = slot_of(b"luasprocs")
    source = cluster.serving(slot)
    target = next(node for node in cluster.nodes if node is not source)
    cluster.move_slot(slot, source, target)
    assert shell.ok("status", "--json").json["in_sync"]
    shell.commit(a="return 2")
    shell.ok("sync")
    same(cluster, 2, a="return 2")
    cluster.move_slot(slot, target, source)
    same(cluster, 2, a="return 2")


def test_a_registry_that_came_with_its_slot_is_not_taken_for_the_shards_own(shell, cluster):
    shell.commit(a="return 1")
    shell.ok("sync")
    ring = [*zip(cluster.nodes, (*cluster.nodes[1:], cluster.nodes[0]), strict=True)]
    first = {node: keys_on(cluster, node).tag for node in cluster.nodes}
    for source, target in ring:  # afterwards no tag is the one that its shard would take anew
        slot = slot_of(first[source].encode())
        cluster.move_slot(slot, source, target)
        shell.ok("sync")
        cluster.move_slot(slot, target, source)
    own = {node: keys_on(cluster, node).tag for node in cluster.nodes}
    assert not {*own.values()} & {*first.values()}
    for source, target in ring:
        slot = slot_of(own[source].encode())
        cluster.move_slot(slot, source, target)
        tags_now = {shard.keys.tag for shard in open_registry(cluster.url).shards}
        assert tags_now == {first[source], *own.values()} - {own[source]}
        cluster.move_slot(slot, target, source)


def test_a_sync_that_saw_the_shards_before_a_slot_moved_replaces_nobodys_engine(cluster):
    put(open_registry(cluster.url), (sproc("a.lua", "return 1"),), about=change())
    source, target = cluster.nodes[:2]
    tag, own = keys_on(cluster, source).tag, keys_on(cluster, target).tag
    registry = open_registry(cluster.url)
    cluster.move_slot(slot_of(tag.encode()), source, target)
    with pytest.raises(ConflictError, match=f"the slot of shard {tag} has moved to shard {own}"):
        put(registry, (sproc("a.lua", "return 2"),), about=change())
    assert held(cluster, cluster.nodes[2]).sources == {"a.lua": "return 1"}
    assert target.ask("FCALL_RO", "luasprocs_shard", 0) == own
    put(open_registry(cluster.url), (sproc("a.lua", "return 3"),), about=change())
    same(cluster, generation_in(cluster), a="return 3")
    cluster.move_slot(slot_of(tag.encode()), target, source)


def test_a_sync_that_would_take_another_tag_than_a_shard_has_by_now_leaves_it(cluster):
    """As a primary gets slots, it would take another tag with each; two syncs may have seen it with different ones."""
    earlier = open_registry(cluster.url)
    source, target = cluster.nodes[:2]
    slot = slot_of(next(one.keys.tag for one in earlier.shards if cluster.at(f"{{{one.keys.tag}}}") is source).encode())
    cluster.move_slot(slot, source, target)
    put(open_registry(cluster.url), (sproc("a.lua", "return 1"),), about=change())
    cluster.move_slot(slot, target, source)
    own = keys_on(cluster, source).tag
    with pytest.raises(ConflictError, match=f"has become shard {own}: plan again"):
        put(earlier, (sproc("a.lua", "return 2"),), about=change())
    same(cluster, 1, a="return 1")
    assert source.ask("FCALL_RO", "luasprocs_shard", 0) == own
