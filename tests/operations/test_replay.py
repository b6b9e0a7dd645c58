from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError, ScriptError, ServerRightsError
from luasprocs.operations.replay import Wrote, read_scene, replay
from luasprocs.operations.run import run
from luasprocs.server.acl import rule
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from tests.live import put, sproc

if TYPE_CHECKING:
    from tests.servers import Server

BROKEN = "-- event=set\n-- key=user:*\nif ARGV[1] == 'ann' then error('no ' .. ARGV[1]) end\nreturn 1\n"
MENDED = (
    "-- event=set\n-- key=user:*\nlocal greet = require('lib.lua')\n"
    "redis.call('SET', 'greeting', greet(ARGV[1]))\nredis.call('HSET', KEYS[1] .. ':seen', 'by', ARGV[2])\n"
    "redis.call('DEL', KEYS[1])\nreturn ARGV[3]\n"
)


def test_a_failed_event_runs_again_with_its_key_and_the_source_of_then_and_of_now(server: Server) -> None:
    client, registry = server.client(), Registry(server.client(), Keys())
    put(client, sproc("greet.lua", BROKEN), sproc("other.lua", "-- event=set\nredis.call('SET', 'other', 1)\n"))
    client.set("user:1", "ann", ex=1000)
    fields = {
        "sproc": "greet.lua",
        "trigger": "event",
        "event": "set",
        "key": "user:1",
        "status": "error",
        "depth": "1",
    }
    client.xadd(registry.keys.executions, fields)  # type: ignore[arg-type]
    record = read_executions(registry)[0]
    scene = read_scene(registry, record)
    assert scene.then is None, "the same source"
    again = replay(scene)
    assert (again.status, again.wrote) == ("error", ())
    assert "no ann" in again.said
    library = sproc("lib.lua", "-- library=yes\nreturn function(name) return 'hello ' .. name end\n")
    put(client, sproc("greet.lua", MENDED), library)
    scene = read_scene(registry, record)
    assert scene.then == BROKEN.encode()
    assert replay(scene, scene.then).status == "error"
    now = replay(scene)
    assert (now.status, now.said) == ("ok", "string")
    assert now.wrote == (
        Wrote("greeting", "", "hello ann"),
        Wrote("user:1", "ann", ""),
        Wrote("user:1:seen", "", '{"by": "set"}'),
    )
    assert not client.exists("greeting", "other"), "nothing of it is here"
    assert client.get("user:1") == b"ann"


def test_a_call_runs_again_and_a_source_that_does_not_compile_says_so(server: Server) -> None:
    client, registry = server.client(), Registry(server.client(), Keys())
    put(client, sproc("add.lua", "return redis.call('INCR', KEYS[1])\n"))
    client.hset("counter", "a", "1")
    with contextlib.suppress(LuasprocsError):
        run(registry, "add.lua", [b"counter"], by="ann")
    record = read_executions(registry)[0]
    assert record.failed
    scene = read_scene(registry, record)
    assert "WRONGTYPE" in replay(scene).said
    assert replay(scene, b"return 7\n").said == "7"
    broken = replay(scene, b"return return\n")
    assert (broken.status, "unexpected symbol" in broken.said) == ("error", True)
    put(client, sproc("else.lua", "return 1"))
    with pytest.raises(ScriptError, match="not live"):
        read_scene(registry, record)


@pytest.mark.parametrize("trigger", ["event", "call"])
def test_a_run_that_does_not_end_is_stopped(server: Server, monkeypatch: pytest.MonkeyPatch, trigger: str) -> None:
    monkeypatch.setattr("luasprocs.operations.replay.RUN_S", 1.0)
    client, registry = server.client(), Registry(server.client(), Keys())
    put(client, sproc("loops.lua", "-- event=set\n-- key=k\n-- timeout=500ms\nwhile true do end\n"))
    fields: Any = {
        "sproc": "loops.lua",
        "trigger": trigger,
        "event": "set",
        "key": "k",
        "status": "timeout",
        "depth": "1",
    }
    client.xadd(registry.keys.executions, fields)
    assert replay(read_scene(registry, read_executions(registry)[0])).status == "timeout"


def test_a_value_that_is_too_large_to_copy_is_left_where_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luasprocs.operations.replay.VALUE_LIMIT_BYTES", 1 << 20)
    client, registry = server.client(), Registry(server.client(), Keys())
    put(client, sproc("a.lua", "-- event=set\n-- key=k\nreturn 1\n"))
    client.set("k", b"x" * (2 << 20))
    fields: Any = {"sproc": "a.lua", "trigger": "event", "event": "set", "key": "k", "status": "error", "depth": "1"}
    client.xadd(registry.keys.executions, fields)
    with pytest.raises(ScriptError, match="over 1 MB"):
        read_scene(registry, read_executions(registry)[0])


@pytest.mark.wording
def test_who_may_not_read_the_key_is_told_what_to_ask_for(server: Server) -> None:
    client, keys = server.client(), Keys()
    put(client, sproc("a.lua", "-- event=set\n-- key=order:*\nreturn 1\n"))
    client.execute_command("ACL", "SETUSER", "viewer", *rule("viewer", keys), ">pw")
    viewers = Registry(connect(server.url.replace("://", "://viewer:pw@")), keys)
    fields: Any = {
        "sproc": "a.lua",
        "trigger": "event",
        "event": "set",
        "key": "order:7",
        "status": "error",
        "depth": "1",
    }
    client.xadd(keys.executions, fields)
    (record,) = read_executions(viewers)
    with pytest.raises(ServerRightsError, match=r"may not: viewers read the registry alone") as refused:
        read_scene(viewers, record)
    rights = str(refused.value).partition("`ACL SETUSER … ")[2].partition("`")[0]
    client.execute_command("ACL", "SETUSER", "viewer", *shlex.split(rights))
    client.set("order:7", "x")
    assert [seed.key for seed in read_scene(viewers, record).seeds] == [b"order:7"]


def test_a_schedule_and_a_job_have_their_arguments_again_and_a_call_says_that_it_has_none(server: Server) -> None:
    client, registry = server.client(), Registry(server.client(), Keys())
    told = "return (ARGV[1] or 'nil') .. ' ' .. (ARGV[2] or 'nil') .. ' ' .. (ARGV[3] or 'nil')\n"
    job = f"-- event=set\n-- key=mail:*\n-- runasync=yes\n{told}"
    put(client, sproc("told.lua", told), sproc("job.lua", job))
    client.set("mail:1", "pt")
    client.hset("mail:2", "language", "pt")
    each: tuple[dict[Any, Any], ...] = (
        {"sproc": "told.lua", "trigger": "cron", "origin": "1796000000"},
        {"sproc": "job.lua", "trigger": "async", "event": "set", "key": "mail:1"},
        {"sproc": "job.lua", "trigger": "async", "event": "set", "key": "mail:2"},
        {"sproc": "told.lua", "trigger": "call", "key": "mail:1"},
    )
    for fields in each:
        client.xadd(registry.keys.executions, {**fields, "status": "error"})
    found = [replay(read_scene(registry, record)) for record in read_executions(registry)]
    assert [(one.said, one.has_args) for one in found] == [
        ("1796000000 cron nil", True),
        ("pt set string", True),
        ("nil nil nil", False),
        ("nil nil nil", False),
    ]
