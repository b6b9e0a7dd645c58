"""Apply on real servers: whole or not at all, whatever stands in the way."""

from __future__ import annotations

import hashlib
import json

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.engine import VERSION
from luasprocs.errors import ConflictError, EngineVersionError, OwnerError, ProblemsError
from luasprocs.language.sproc import Sproc, git_blob_id
from luasprocs.registry.apply import apply
from luasprocs.registry.history import read_history
from luasprocs.registry.live import Fault, engine_of, read_live, read_sprocs
from luasprocs.registry.sproc_hash import digest
from luasprocs.server.registry import Registry
from tests.live import change, put, sproc

KEYS = Keys()


@pytest.fixture
def client(server):
    return server.client()


def everything(client):
    """All that the server holds, functions too."""
    data = {key: client.dump(key) for key in client.keys("*")}
    return data, client.execute_command("FUNCTION", "LIST", "WITHCODE")


def test_the_registry_is_as_documented(client):
    one = sproc("sc2.lua", "-- event=set\n-- key=dream*\nreturn 1")
    put(client, one, sproc("a.lua", "return 2"))
    assert client.lrange("__*_Sproc_List_*__", 0, 5) == [b"a.lua", b"sc2.lua"]
    assert client.hgetall("__*_Sproc_Name_sc2.lua") == {
        b"source": one.source, b"sha": client.script_load(one.source).encode(), b"blob": one.blob.encode(),
        b"commit": b"c1", b"event": b"set", b"key": b"dream*",
    }  # fmt: skip
    revision = client.hgetall("__*_Sproc_Revision_*__")
    assert (revision[b"commit"], revision[b"generation"], revision[b"owner"]) == (b"c1", b"1", b"tests")
    assert set(revision) == {
        b"commit", b"branch", b"generation", b"applied_at", b"applied_by", b"owner", b"engine", b"pinned", b"defaults", b"held",
    }  # fmt: skip
    assert client.hgetall("__*_Sproc_Triggers_*__") == {b"__keyspace@0__:dream*": b"sc2.lua"}


def test_what_is_live_reads_as_whole(client):
    put(client, sproc("a.lua", "return 1"))
    live = read_live(Registry(client, KEYS))
    assert (live.drift, live.faults, live.engine_stale(engine_of(live, KEYS, "tests"))) == ((), (), "")
    assert [one.source for one in read_sprocs(Registry(client, KEYS), ["a.lua", "none.lua"])] == [b"return 1"]


def test_python_and_the_engine_agree_on_the_digest(client):
    put(client, sproc("a.lua", "-- tags=x\n-- x_b=2\n-- x_a=ä🎉\n-- description=d\nreturn 1"))
    assert client.hget(KEYS.digests, "a.lua").decode() == digest(client.hgetall(KEYS.name("a.lua")))
    assert read_live(Registry(client, KEYS)).drift == ()


@pytest.mark.parametrize("edit", [("source", "return 6"), ("event", "del"), ("x_new", "1"), ("blob", "0")])
def test_an_edit_by_hand_is_drift_with_and_without_the_engine(client, edit):
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 1"))
    client.hset(KEYS.name("b.lua"), *edit)
    assert read_live(Registry(client, KEYS)).drift == ("b.lua",)
    client.execute_command("FUNCTION", "FLUSH")
    live = read_live(Registry(client, KEYS))
    assert live.drift == ("b.lua",)
    assert live.about is None


def test_a_deleted_hash_is_drift(client):
    put(client, sproc("a.lua", "return 1"))
    client.delete(KEYS.name("a.lua"))
    assert read_live(Registry(client, KEYS)).drift == ("a.lua",)


def test_after_flushall_nothing_is_live_and_the_engine_is_stale_or_empty(client):
    put(client, sproc("a.lua", "return 1"))
    client.flushall()
    live = read_live(Registry(client, KEYS))
    assert live.empty
    put(client, sproc("a.lua", "return 2"))
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua") == 2


def test_a_source_that_does_not_compile_leaves_everything_as_it_was(client):
    put(client, sproc("a.lua", "return 1"))
    before = everything(client)
    broken = Sproc("b.lua", b"return return", git_blob_id(b"return return"), {}, "c2")
    with pytest.raises(ProblemsError, match=r"b\.lua:1:1: unexpected symbol near 'return'"):
        put(client, sproc("a.lua", "return 2"), broken)
    assert everything(client) == before


def test_of_two_changes_from_one_state_one_wins(client):
    put(client, sproc("a.lua", "return 1"))
    live = read_live(Registry(client, KEYS))
    apply(Registry(client, KEYS), live, change(sproc("a.lua", "return 2")))
    before = everything(client)
    with pytest.raises(ConflictError, match="plan again"):
        apply(Registry(client, KEYS), live, change(sproc("a.lua", "return 3")))
    assert everything(client) == before


def test_another_repository_is_refused_before_anything_is_written(client):
    put(client, sproc("a.lua", "return 1"))
    before = everything(client)
    with pytest.raises(OwnerError, match="another repository"):
        put(client, sproc("b.lua", "return 1"), owner="else")
    assert everything(client) == before
    put(client, sproc("b.lua", "return 1"), owner="else", adopt=True)
    assert client.hget(KEYS.revision, "owner") == b"else"


def test_the_engine_of_another_db_is_refused_before_anything_is_written(server):
    first, second = server.client(), server.client(db=1)
    put(first, sproc("a.lua", "return 1"))
    before = everything(first)
    with pytest.raises(OwnerError, match="serves db 0"):
        put(second, sproc("a.lua", "return 1"))
    assert (everything(first), second.dbsize()) == (before, 0)


def test_another_library_with_the_engines_names_is_refused(client):
    client.function_load("#!lua name=other\nredis.register_function('luasprocs_execute', function() return 1 end)")
    with pytest.raises(OwnerError, match="another function library"):
        put(client, sproc("a.lua", "return 1"))
    assert client.dbsize() == 0


FOREIGN = (
    "#!lua name=luasprocs\n"
    "redis.register_function{function_name='%s', flags={'no-writes'}, callback=function() return %s end}"
)


@pytest.mark.parametrize("function", ["theirs", "luasprocs_about"])
@pytest.mark.parametrize("reply", ["1", "{1}", "{1, 'a', 'b', 'c', 'd', 5}", "{}", "'x'", "{ok='x'}"])
def test_a_library_of_that_name_that_is_not_ours_is_left_alone(client, function, reply):
    client.function_load(FOREIGN % (function, reply))
    before = client.execute_command("FUNCTION", "LIST", "WITHCODE")
    with pytest.raises(OwnerError, match="sync --adopt"):
        put(client, sproc("a.lua", "return 1"))
    assert client.dbsize() == 0
    assert client.execute_command("FUNCTION", "LIST", "WITHCODE") == before
    put(client, sproc("a.lua", "return 1"), adopt=True)
    assert client.fcall("luasprocs_execute", 0, "a.lua") == 1


def test_a_newer_engine_is_never_replaced(client):
    put(client, sproc("a.lua", "return 1"))
    client.hset(KEYS.revision, "engine", VERSION + 1)
    before = everything(client)
    with pytest.raises(EngineVersionError, match="upgrade luasprocs"):
        put(client, sproc("a.lua", "return 2"), adopt=True)
    assert everything(client) == before


@pytest.mark.parametrize("key", ["list", "revision", "history", "blobs", "replaced", "digests", "triggers"])
@pytest.mark.parametrize("loaded", [True, False], ids=["engine", "no-engine"])
def test_a_key_of_the_wrong_type_is_repaired(client, key, loaded):
    one = sproc("a.lua", "-- event=set\n-- key=k\nreturn 1")
    put(client, one)
    if not loaded:
        client.execute_command("FUNCTION", "FLUSH")
    name = getattr(KEYS, key)
    client.delete(name)
    client.geoadd(name, (13.4, 52.5, "x")) if key != "replaced" else client.set(name, "x")
    put(client, one, sproc("b.lua", "return 2"))
    live = read_live(Registry(client, KEYS))
    assert (live.faults, live.drift, list(live.sprocs)) == ((), (), ["a.lua", "b.lua"])
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "b.lua") == 2


def test_a_fault_is_repaired_by_its_key_whatever_its_words_are(client):
    registry = Registry(client, KEYS)
    put(client, sproc("a.lua", "return 1"))
    client.delete(KEYS.history)
    client.set(KEYS.history, "x")
    live = read_live(registry)
    (fault,) = live.faults
    apply(registry, live._replace(faults=(Fault(fault.key, "other words"),)), change(sproc("a.lua", "return 2")))
    assert (read_live(registry).faults, client.xlen(KEYS.history)) == ((), 1)


def test_a_sprocs_hash_of_the_wrong_type_is_repaired(client):
    put(client, sproc("a.lua", "return 1"))
    client.delete(KEYS.name("a.lua"))
    client.set(KEYS.name("a.lua"), "text")
    client.set(KEYS.name("b.lua"), "text")
    assert read_live(Registry(client, KEYS)).drift == ("a.lua",)
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 2"))
    assert read_live(Registry(client, KEYS)).drift == ()


def test_a_function_load_that_failed_inside_exec_is_seen_and_repaired(client):
    put(client, sproc("a.lua", "return 1"))
    client.hset(KEYS.revision, "generation", 7)
    live = read_live(Registry(client, KEYS))
    assert "generation 1, not 7" in live.engine_stale(engine_of(live, KEYS, "tests"))
    put(client, sproc("a.lua", "return 1"))
    live = read_live(Registry(client, KEYS))
    assert live.engine_stale(engine_of(live, KEYS, "tests")) == ""
    assert live.revision.generation == 8


def test_history_says_what_changed_and_blobs_keep_what_was_replaced(client):
    old = sproc("a.lua", "return 1")
    put(client, old, sproc("gone.lua", "return 0"))
    new = sproc("a.lua", "return 2", "c2")
    put(client, new, sproc("b.lua", "return 3"), subject="two\nlines", commit="c2")
    latest, first = read_history(Registry(client, KEYS))
    assert (first.generation, set(first.created)) == (1, {"a.lua", "gone.lua"})
    assert latest.updated == {"a.lua": (old.blob, new.blob)}
    assert (set(latest.created), set(latest.deleted), latest.commit) == ({"b.lua"}, {"gone.lua"}, "c2")
    assert client.hget(KEYS.blobs, old.blob) == old.source
    assert json.loads(client.xrevrange(KEYS.history, count=1)[0][1][b"deleted"]) == {
        "gone.lua": git_blob_id(b"return 0")
    }


def test_a_source_edited_by_hand_is_kept_when_it_is_overwritten(client):
    put(client, sproc("a.lua", "return 1"))
    client.hset(KEYS.name("a.lua"), "source", "return 'by hand'")
    put(client, sproc("a.lua", "return 1"))
    assert client.hget(KEYS.blobs, git_blob_id(b"return 'by hand'")) == b"return 'by hand'"


def test_only_the_sources_of_kept_generations_are_kept(client):
    for number in range(8):
        put(client, sproc("a.lua", f"return {number % 5}"), generations_kept=3)
    kept = set(client.hgetall(KEYS.blobs).values())
    assert kept == {b"return 4", b"return 0", b"return 1"}
    assert [entry.generation for entry in read_history(Registry(client, KEYS))] == [8, 7, 6]


def test_many_sprocs_are_read_back_in_order(client):
    sprocs = [sproc(f"s{number:05}.lua", f"return {number}") for number in range(1200)]
    put(client, *sprocs)
    live = read_live(Registry(client, KEYS))
    assert list(live.sprocs) == [one.name for one in sprocs]
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "s01199.lua") == 1199
    changed = sprocs[7]._replace(source=b"return 'x'", blob=git_blob_id(b"return 'x'"))
    apply(Registry(client, KEYS), live, change(changed, names=tuple(live.sprocs)))
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "s00007.lua") == b"x"


def test_the_stored_sha_is_the_sha1_of_the_source(client):
    put(client, one := sproc("ü.lua", "return 'ü'"))
    assert client.hget(KEYS.name("ü.lua"), "sha").decode() == hashlib.sha1(one.source).hexdigest()
