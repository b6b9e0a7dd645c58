"""A sync of three shards: the same on each, or nothing anywhere; and what brings a shard in line that lags behind."""

from __future__ import annotations

import threading

import pytest
from redis import RedisError

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import ConflictError
from luasprocs.operations.put import put
from luasprocs.registry.live import read_live
from luasprocs.registry.shards_compile import prove_on_shards
from luasprocs.server.fleet import open_registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer
from tests.cluster.registries import held, keys_on, same, tags, untouched
from tests.live import change, sproc
from tests.until import until

COUNT_KEYS = "for i = 1, #KEYS do redis.call('INCR', KEYS[i]) end return #KEYS"
TAKEN = "#!lua name=mine\nredis.register_function('beta', function() return 'mine' end)"


def by_cluster_client(cluster, node, *words):
    return cluster.cli(*words, node=node).splitlines()[-1]


def tag_of(cluster, node):
    """A hash tag whose keys a node serves."""
    return next(f"t{number}" for number in range(1000) if cluster.at(f"t{number}") is node)


def test_from_nothing_to_the_same_on_each_primary(shell, cluster):
    shell.commit(a="return 1", b="return 2")
    said = shell.ok("sync", "--json").json
    assert (said["generation"], said["created"]) == (1, ["a.lua", "b.lua"])
    same(cluster, 1, a="return 1", b="return 2")
    shell.commit(a="return 3")
    (shell.repo / "sprocs/b.lua").unlink()
    shell.commit()
    shell.ok("sync")
    same(cluster, 2, a="return 3")
    assert shell.ok("status", "--json").json["in_sync"]


def test_calls_by_any_node_find_the_shard_of_their_keys(shell, cluster):
    shell.commit(count=COUNT_KEYS)
    shell.ok("sync")
    for node in cluster.nodes:
        keys = [f"{{{tag_of(cluster, node)}}}{number}" for number in range(12)]
        call = ("FCALL", "luasprocs_execute", "12", *keys, "count.lua")
        for calls in (1, 2):  # cold, then warm
            for asked in cluster.nodes:
                assert by_cluster_client(cluster, asked, *call) == "12"
            assert node.ask("MGET", *keys) == [str(calls * 3)] * 12


def test_a_cold_call_and_a_warm_one_after_the_engine_was_loaded_anew(shell, cluster):
    shell.commit(count=COUNT_KEYS)
    shell.ok("sync")
    client = cluster.redis_cluster()
    for node in cluster.nodes:
        keys = [f"{{{tag_of(cluster, node)}}}{number}" for number in range(12)]
        assert [client.fcall("luasprocs_execute", 12, *keys, "count.lua") for _ in range(2)] == [12, 12]
    client.close()


def test_a_source_that_does_not_compile_is_applied_nowhere(shell, cluster):
    shell.commit(a="return 1", broken="return (")
    refused = shell("sync")
    assert refused.code == 1
    assert "broken.lua" in refused.err
    untouched(cluster)


@pytest.mark.parametrize("place", range(3))
def test_a_function_that_one_shard_has_already_is_applied_nowhere(shell, cluster, place):
    cluster.nodes[place].ask("FUNCTION", "LOAD", TAKEN)
    shell.commit(a="return 1", b="-- function=beta\nreturn 2")
    refused = shell("sync")
    assert refused.code == 1, refused
    assert "beta" in refused.err
    untouched(cluster)


def prepared(shell, cluster):
    """A syncer that has read what is live, and what it found."""
    registry = open_registry(cluster.url)
    repository = Repository.open(shell.repo)
    syncer = Syncer(registry, repository)
    desired = read_commit(repository)
    return syncer, desired, syncer.prepare(desired)


@pytest.mark.parametrize("place", [0, 1])  # the first one, and the one that has the directory
def test_a_shard_that_goes_before_it_has_proved_the_change_keeps_it_from_all(shell, cluster, place):
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.commit(a="return 2")
    syncer, desired, found = prepared(shell, cluster)
    before = [held(cluster, node) for node in cluster.nodes]
    gone = cluster.nodes[place]
    gone.kill()
    with pytest.raises(RedisError):
        syncer.sync(desired, found)
    others = [number for number in range(3) if number != place]
    assert [node_state(cluster, number) for number in others] == [before[number].generation for number in others]
    gone.start()
    cluster.until_whole()
    shell.ok("sync")
    same(cluster, 2, a="return 2")


def node_state(cluster, number):
    """The generation of a node's registry, found without asking another node."""
    node = cluster.nodes[number]
    (name,) = [name for name in node.ask("KEYS", "*") if name.endswith("_Sproc_Revision_*__")]
    return int(node.ask("HGET", name, "generation"))


@pytest.mark.parametrize("place", [0, 1])  # the first one, and the one that has the directory
def test_a_shard_that_is_killed_before_its_exec_is_named_and_brought_in_line(shell, cluster, place):
    shell.commit(a="return 1")
    shell.ok("sync")
    lost = cluster.nodes[place]
    tag = keys_on(cluster, lost).tag
    shell.commit(a="return 2")
    lost.ask("CLIENT", "PAUSE", 60_000, "WRITE")  # it proves, but its EXEC waits
    said = []
    sync = threading.Thread(target=lambda: said.append(shell.process("sync")))
    sync.start()
    others = [number for number in range(3) if number != place]
    until(lambda: [node_state(cluster, number) for number in others] == [2, 2])
    lost.kill()
    sync.join()
    (refused,) = said
    assert refused.code != 0
    assert "2 of 3 shards have generation 2" in refused.err
    assert f"shard {tag}" in refused.err
    lost.start()
    cluster.until_whole()
    shell.ok("sync")
    same(cluster, generation_in(cluster), a="return 2")
    assert shell.ok("status", "--json").json["in_sync"]


def generation_in(cluster):
    return max(tags(cluster).values())


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("what", ["source", "sproc", "list", "registry", "engine", "function"])
def test_what_somebody_changed_on_one_shard_is_put_right(shell, cluster, place, what):
    shell.commit(a="return 1", b="-- function=beta\nreturn 2")
    shell.ok("sync")
    node = cluster.nodes[place]
    keys = keys_on(cluster, node)
    match what:
        case "source":
            node.ask("HSET", keys.name("a.lua"), "source", "return 'by hand'")
        case "sproc":
            node.ask("DEL", keys.name("a.lua"))
        case "list":
            node.ask("RPUSH", keys.list, "none.lua")
        case "registry":
            node.ask("FLUSHALL")
        case "engine":
            node.ask("FUNCTION", "FLUSH")
        case "function":
            node.ask("FUNCTION", "DELETE", own_library(node))
    shell.ok("sync")
    same(cluster, generation_in(cluster), a="return 1", b="-- function=beta\nreturn 2")
    for one in cluster.nodes:
        assert one.ask("FCALL", "beta", 0) == 2
    assert shell.ok("sync", "--json").json["unchanged"] == 2


def own_library(node):
    """The library that has `beta`."""
    for library in node.ask("FUNCTION", "LIST"):
        said = str(library)
        if "'beta'" in said:
            return library["library_name"] if isinstance(library, dict) else library[1]
    raise AssertionError("nobody has it")


def test_rollback_and_unpin_and_history_are_of_all_shards(shell, cluster):
    for number in (1, 2):
        shell.commit(a=f"return {number}")
        shell.ok("sync")
    shell.ok("rollback")
    same(cluster, 3, a="return 1")
    assert shell("status", "--json").json["pinned"]
    assert shell("unpin").code == 0
    shell.ok("sync")
    generation = generation_in(cluster)
    same(cluster, generation, a="return 2")
    assert [row[0] for row in shell.ok("history").rows] == [str(number) for number in range(generation, 0, -1)]
    assert {node.ask("XLEN", keys_on(cluster, node).history) for node in cluster.nodes} == {generation}


def test_a_live_edit_is_on_all_shards_and_can_be_undone(shell, cluster):
    shell.commit(a="-- timeout=5s\nreturn 1")
    shell.ok("sync")
    shell.ok("edit", "a.lua", "--set", "timeout=7s")
    same(cluster, 2, a="-- timeout=7s\nreturn 1")
    assert "unsaved_edit" in shell("status").out
    shell.ok("edit", "a.lua", "--undo")
    same(cluster, 3, a="-- timeout=5s\nreturn 1")


def test_a_namespace_is_on_each_shard_beside_the_others(shell, cluster):
    shell.commit(a="return 1")
    shell.ok("sync")
    (shell.repo / "luasprocs.toml").write_text('namespace = "shop"\n')
    shell.commit(a="return 2")
    shell.ok("sync", "--adopt")
    same(cluster, 1, a="return 1")
    for node in cluster.nodes:
        assert node.ask("FCALL", "shop_luasprocs_execute", 1, f"{{{tag_of(cluster, node)}}}", "a.lua") == 2
        (revision,) = node.ask("KEYS", "*shop:*_Revision_*")
        assert revision == Keys("shop", keys_on(cluster, node).tag).revision


def test_every_shard_compiles_while_sprocs_are_read(cluster):
    large = [sproc(f"{name}.lua", f"--{'x' * 70_000}\nreturn 1") for name in "abcd"]

    def compiling():
        stats = [node.client().info("commandstats") for node in cluster.nodes]
        return all("cmdstat_fcall_ro" in one for one in stats)

    def read():
        for node in cluster.nodes:
            node.ask("CONFIG", "RESETSTAT")
        yield from large[:-1]
        until(compiling)
        yield large[-1]

    registry = open_registry(cluster.url)
    proof = prove_on_shards(registry, read_live(registry), "tests", read(), lambda _: None, adopt=False)
    assert [one.sprocs for one in (proof, *proof.beside)] == [tuple(large)] * 3
    assert [one.rows[0].key for one in proof.beside] == [raw(one.keys.name("a.lua")) for one in registry.siblings]


def test_of_two_first_syncs_at_once_the_later_replaces_no_engine(cluster):
    """Daemons know the engine's secret: they would hear no ticks of one that has another."""

    def secrets():
        live = read_live(open_registry(cluster.url))
        return [one.about and one.about.secret for one in (live, *live.siblings)]

    later = open_registry(cluster.url)
    began_with = read_live(later)
    put(open_registry(cluster.url), (sproc("a.lua", "return 1"),), about=change())
    before = secrets()
    with pytest.raises(ConflictError, match="another sync loaded the engine first"):
        prove_on_shards(later, began_with, "tests", [sproc("a.lua", "return 2")], lambda _: None, adopt=False)
    assert secrets() == before
