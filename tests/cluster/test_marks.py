"""Schedules in a cluster: the mark of each lies in the slot of its `at`, and goes as on a single server."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luasprocs.contract.encoding import raw
from luasprocs.language.sproc import Sproc, git_blob_id
from luasprocs.operations.pause import pause, resume
from luasprocs.operations.put import put
from luasprocs.server.fleet import open_registry
from luasprocs.server.marks import mark_key
from luasprocs.server.shards import each_shard
from luasprocs.server.slots import slot_of, tag_beside
from tests.live import change, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster

BRACES = ["".join(letters) for length in range(1, 5) for letters in product("{}a", repeat=length)]
ODD = st.text(st.one_of(st.sampled_from("{}:*"), st.characters(codec="utf-8")), min_size=1, max_size=20)
TABLE = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SCHEDULE = "@every 1h"


def server_slots(cluster: Cluster, keys: list[bytes]) -> list[int]:
    pipe = cluster.nodes[0].client().pipeline(transaction=False)
    for key in keys:
        pipe.execute_command("CLUSTER", "KEYSLOT", key)
    return pipe.execute()


@TABLE
@given(st.lists(ODD, min_size=1, max_size=100))
def test_a_tag_beside_a_key_is_in_its_slot(cluster: Cluster, texts: list[str]) -> None:
    keys = list(map(raw, (*BRACES, *texts)))
    slots = server_slots(cluster, keys)
    assert slots == list(map(slot_of, keys))
    assert slots == server_slots(cluster, [b"{%s}:x" % tag_beside(key) for key in keys])


def started(registry: Registry, names: list[str]) -> None:
    """Each shard begins those schedules whose slots it serves."""
    for shard in registry.shards:
        reply: Any = shard.call_ro("schedules")
        words = [word for name in names for word in (name, SCHEDULE)]
        assert shard.call("cron", "start", "d", reply[0], *words)[0] == b"ok"


def marks(registry: Registry) -> set[bytes]:
    found: list[Any] = each_shard(registry, lambda shard: shard.client.keys("*Mark_*"))
    return {key for keys in found for key in keys}


@settings(TABLE, max_examples=3)
@given(st.lists(ODD, min_size=1, max_size=100, unique=True))
def test_a_mark_is_where_calls_of_its_sproc_go(cluster: Cluster, texts: list[str]) -> None:
    registry = open_registry(cluster.url)
    source = b"return 1"
    ats = {f"s{number}.lua": at for number, at in enumerate((*BRACES, *texts)) if at != "each"}
    own = [Sproc(name, source, git_blob_id(source), {"every": "1h", "at": at}) for name, at in ats.items()]
    named = [Sproc("}{.lua", source, git_blob_id(source), {"every": "1h"})]
    put(registry, (*own, *named), about=change())
    started(registry, [*ats, "}{.lua"])
    wanted = {mark_key("", name, at): at for name, at in ats.items()} | {mark_key("", "}{.lua"): "}{.lua"}
    assert marks(registry) == wanted.keys()
    assert server_slots(cluster, list(wanted)) == server_slots(cluster, list(map(raw, wanted.values())))
    put(registry, about=change())
    assert not marks(registry)


def hourly(name: str, at: str = "home") -> Sproc:
    return sproc(name, f"-- every=1h\n-- at={at}\nreturn 1")


def test_a_pause_ends_a_schedule_and_what_a_daemon_paused_begins_anew(cluster: Cluster) -> None:
    registry = open_registry(cluster.url)
    put(registry, [hourly("a.lua"), hourly("b.lua", "each")], about=change())
    names, mark = ["a.lua"], mark_key("", "a.lua", "home")
    started(registry, names)
    assert marks(registry) == {mark}
    resume(registry, names)
    assert marks(registry) == {mark}, "a schedule that runs goes on"
    pause(registry, ["a.lua", "b.lua"], by="ann")
    started(registry, names)
    assert not marks(registry)
    resume(registry, names)
    started(registry, names)
    assert marks(registry) == {mark}
    for shard in registry.shards:
        shard.client.sadd(shard.keys.paused, "a.lua")
    resume(registry, names)
    assert not marks(registry)


def test_a_schedule_that_was_deleted_renamed_or_moved_leaves_no_mark(cluster: Cluster) -> None:
    registry = open_registry(cluster.url)
    put(registry, [hourly("a.lua"), hourly("stays.lua")], about=change())
    started(registry, ["a.lua", "stays.lua"])
    stays = mark_key("", "stays.lua", "home")
    for name, at in (("b.lua", "home"), ("b.lua", "work")):
        put(registry, [hourly(name, at), hourly("stays.lua")], about=change())
        assert marks(registry) == {stays}
        started(registry, [name])
        assert marks(registry) == {stays, mark_key("", name, at)}
    put(registry, [sproc("b.lua", "return 1")], delete=[], about=change())
    assert marks(registry) == {stays}
    registry.at(b"work").client.set(mark_key("", "b.lua", "work"), f"1 {SCHEDULE}")
    put(registry, [hourly("b.lua", "work")], delete=[], about=change())
    assert marks(registry) == {stays}, "a schedule that comes does not go on from one that somebody failed to delete"
