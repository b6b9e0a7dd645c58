"""`oom=deny|allow`: in a full server only what may runs, and leaves its traces; the others are refused before any effect."""

from __future__ import annotations

from functools import partial

import pytest
import redis
from redis.exceptions import OutOfMemoryError, ResponseError

from luasprocs.client import Sprocs
from luasprocs.contract.encoding import time_ms
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import FREE_COMMANDS
from luasprocs.errors import ProblemsError, ScriptError
from luasprocs.operations.run import Ran, run
from luasprocs.server import acl
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from luasprocs.state.stats import Stats
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

KEYS = Keys()
ALWAYS = sum(one.always for one in FUNCTIONS.values())
WRITES = "redis.call('INCR', 'ran:' .. sproc.name)\nreturn 'ran'"
ALLOW = sproc("allow.lua", "-- oom=allow\n-- function=allowed\n" + WRITES)
DENY = sproc("deny.lua", "-- function=denied\n" + WRITES)


@pytest.fixture
def registry(server):
    found = Registry(server.client(), KEYS)
    yield found
    found.client.config_set("maxmemory", 0)


def fill(registry, full=True):
    registry.client.config_set("maxmemory-policy", "noeviction")
    registry.client.config_set("maxmemory", 1000 if full else 0)


def ran(registry, name):
    return int(registry.client.get(f"ran:{name}") or 0)


def execute(registry, name, function="luasprocs_execute"):
    return registry.client.execute_command("FCALL", function, 0, name)


def test_it_runs_in_a_full_server_by_every_way_to_call_it(registry):
    put(registry.client, ALLOW, DENY, sproc("outer.lua", "-- oom=allow\nreturn sproc.call(ARGV[1])"))
    fill(registry)
    with pytest.raises(OutOfMemoryError):
        registry.client.set("x", 1)
    assert execute(registry, "allow.lua") == b"ran"
    assert registry.client.fcall("allowed", 0) == b"ran"
    assert Sprocs(registry.client).execute("allow.lua", reply=str) == "ran"
    done = run(registry, "allow.lua", by="ann")
    assert isinstance(done, Ran)
    assert done.reply == b"ran"
    assert registry.client.fcall("luasprocs_execute", 0, "outer.lua", "allow.lua") == b"ran"
    assert ran(registry, "allow.lua") == 5
    assert [one.status for one in read_executions(registry)] == ["ok"]
    assert Stats.parse(registry.client.hgetall(KEYS.stats("allow.lua"))).runs == 1


def test_the_others_are_refused_as_the_server_refuses(registry):
    put(registry.client, ALLOW, DENY, sproc("outer.lua", "-- oom=allow\nreturn sproc.call(ARGV[1])"))
    assert execute(registry, "deny.lua") == b"ran"
    fill(registry)
    for call in (
        lambda: execute(registry, "deny.lua"),
        lambda: registry.client.fcall("denied", 0),
        lambda: run(registry, "deny.lua", by="ann"),
        lambda: registry.client.fcall("luasprocs_call", 0, "deny.lua", "-", 1),
        lambda: registry.client.fcall("luasprocs_execute", 0, "outer.lua", "deny.lua"),
    ):
        with pytest.raises(OutOfMemoryError):
            call()
    with pytest.raises(ScriptError, match="maxmemory"):
        Sprocs(registry.client).execute("deny.lua")
    assert ran(registry, "deny.lua") == 1
    assert read_executions(registry) == []
    fill(registry, full=False)
    assert execute(registry, "deny.lua") == b"ran"


def test_without_one_that_may_only_what_keeps_daemons_alive_is_flagged_and_all_are_refused(registry):
    put(registry.client, DENY, sproc("reads.lua", "return redis.call('GET', 'x')"))

    def flags():
        found = str(registry.client.execute_command("FUNCTION", "LIST"))
        return found.count("allow-oom")

    assert flags() == ALWAYS
    fill(registry)
    for name in ("deny.lua", "reads.lua"):
        with pytest.raises(OutOfMemoryError):
            execute(registry, name)
    fill(registry, full=False)
    put(registry.client, DENY, ALLOW)
    assert flags() > ALWAYS + 6
    put(registry.client, DENY)
    assert flags() == ALWAYS


def test_what_needs_no_room_is_not_asked(registry):
    free = {
        "readonly.lua": "-- readonly=yes\nlocal name = 'GET'\nreturn redis.call(name, 'x')",
        "unlock.lua": "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end",
        "pure.lua": "return #ARGV",
    }
    asking = {
        "adds.lua": "redis.call('GET', 'x') redis.call('SET', 'x', 1)",
        "hidden.lua": "local call = redis.call return call('GET', 'x')",
        "named.lua": "return redis.call(ARGV[1] or 'GET', 'x')",
    }
    put(registry.client, ALLOW, *(sproc(name, source) for name, source in {**free, **asking}.items()))
    registry.client.set("lock", "me")
    fill(registry)
    assert registry.client.fcall("luasprocs_execute", 1, "lock", "unlock.lua", "me") == 1
    for name in free:
        registry.client.fcall("luasprocs_execute", 1, "k", name)
    for name in asking:
        with pytest.raises(OutOfMemoryError):
            execute(registry, name)


def test_commands_that_need_no_room_are_those_of_the_server(server):
    connection = server.client().connection_pool.get_connection()
    for command in FREE_COMMANDS:
        connection.send_command("COMMAND", "INFO", command)
        [found] = connection.read_response()
        assert found, command
        assert b"denyoom" not in found[2], command


def test_a_server_that_makes_room_refuses_nothing(registry):
    put(registry.client, ALLOW, DENY)
    used = registry.client.info("memory")["used_memory"]
    registry.client.config_set("maxmemory-policy", "allkeys-random")
    registry.client.config_set("maxmemory", used + 10_000_000)
    assert execute(registry, "deny.lua") == b"ran"
    fill(registry)
    registry.client.config_set("maxmemory", used + 10_000_000)
    assert execute(registry, "deny.lua") == b"ran"


@pytest.mark.timeout(120)
def test_events_schedules_and_retries_run_and_those_of_others_wait(registry, server):
    def on(kind, line, oom):
        return sproc(f"{kind}_{oom}.lua", f"-- {line}\n-- oom={oom}\n" + WRITES)

    retried = "-- event=set\n-- key=r\n-- retries=9\n-- backoff=50ms\n-- oom={}\n"
    fails = "if redis.call('INCR', 'ran:' .. sproc.name) < 3 then error('not yet') end"
    put(
        registry.client,
        *(on("event", f"event=del\n-- key={oom}", oom) for oom in ("allow", "deny")),
        *(on("both", "event=del\n-- key=both", oom) for oom in ("allow", "deny")),
        *(on("cron", "every=1s", oom) for oom in ("allow", "deny")),
        *(sproc(f"retry_{oom}.lua", retried.format(oom) + fails) for oom in ("allow", "deny")),
    )
    for key in ("allow", "deny", "both"):
        registry.client.set(key, 1)
    with DaemonProcess(server.url):
        until(lambda: ran(registry, "cron_deny.lua") and ran(registry, "cron_allow.lua"))
        fill(registry)
        before = {name: ran(registry, f"cron_{name}.lua") for name in ("allow", "deny")}
        registry.client.delete("allow", "deny", "both")
        until(lambda: ran(registry, "event_allow.lua") == 1)
        until(lambda: ran(registry, "both_allow.lua") == 1)
        until(lambda: ran(registry, "cron_allow.lua") > before["allow"] + 2)
        assert (ran(registry, "event_deny.lua"), ran(registry, "both_deny.lua")) == (0, 0)
        assert ran(registry, "cron_deny.lua") <= before["deny"] + 1
        found = {one.sproc: one for one in read_executions(registry, None) if one.event == "del"}
        assert {name: one.status for name, one in found.items()} == {
            "event_allow.lua": "ok", "both_allow.lua": "ok", "both_deny.lua": "error",
        }  # fmt: skip
        assert found["both_deny.lua"].error.startswith("OOM ")
        assert Stats.parse(registry.client.hgetall(KEYS.stats("event_allow.lua"))).runs == 1
        fill(registry, full=False)
        registry.client.set("r", 1)
        until(lambda: ran(registry, "retry_allow.lua"))
        fill(registry)
        until(partial(lambda: ran(registry, "retry_allow.lua") == 3))
        fill(registry, full=False)
        until(lambda: ran(registry, "event_deny.lua") == 1)
        until(lambda: ran(registry, "retry_deny.lua") == 3)
        until(lambda: ran(registry, "cron_deny.lua") > before["deny"] + 1)
        wait_for_events(registry, 30)
    assert [one for one in read_executions(registry, None) if one.status == "gap"] == []
    assert (ran(registry, "event_allow.lua"), ran(registry, "event_deny.lua"), ran(registry, "both_deny.lua")) == (
        1,
        1,
        0,
    )


def test_a_callers_rule_lets_the_engine_ask(registry, server):
    put(registry.client, ALLOW, sproc("adds.lua", "return redis.call('SET', KEYS[1], 1)"))
    registry.client.execute_command("ACL", "SETUSER", "app", *acl.rule("caller", KEYS), ">pw")
    app = server.client(username="app", password="pw")
    assert app.fcall("luasprocs_execute", 1, "app:1", "adds.lua") == b"OK"
    fill(registry)
    with pytest.raises(OutOfMemoryError):
        app.fcall("luasprocs_execute", 1, "app:1", "adds.lua")


def test_who_may_not_ask_is_told_so(registry, server):
    put(registry.client, ALLOW, sproc("adds.lua", "return redis.call('SET', KEYS[1], 1)"))
    words = [word for word in acl.rule("caller", KEYS) if word != "(+info)"]
    registry.client.execute_command("ACL", "SETUSER", "app", *words, ">pw")
    app = server.client(username="app", password="pw")
    with pytest.raises(ResponseError, match=r"can't run this command|permissions to run|info"):
        app.fcall("luasprocs_execute", 1, "app:1", "adds.lua")
    assert registry.client.get("app:1") is None


def test_a_library_has_none():
    with pytest.raises(ProblemsError, match="oom or"):
        sproc("a.lua", "-- oom=allow\n-- library=yes\nreturn 1")


def job(name, head="", body=WRITES):
    return sproc(name, f"-- runasync=yes\n{head}{body}")


def states(registry):
    return {found.sproc: found.state for found in read_jobs(registry)}


def enqueue(registry, name):
    return registry.client.fcall("luasprocs_enqueue", 0, name, "-", 1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("some_may", [True, False])
def test_jobs_wait_for_room_and_are_no_tries(registry, server, some_may):
    """Whether they wait in the queue, come up for a retry, or were at hand when the server became full."""
    stops = "while redis.call('EXISTS', 'hold') == 1 do end redis.call('SET', 'tried', sproc.attempt) " + WRITES
    put(
        registry.client,
        *([ALLOW] if some_may else []),
        job("waits.lua"),
        job("many.lua", "-- overlap=allow\n"),
        job(
            "retried.lua",
            "-- retries=9\n-- backoff=1s\n",
            "if redis.call('GET', 'go') ~= '1' then error('no') end " + WRITES,
        ),
        job("stopped.lua", "", stops),
        job("every.lua", "-- every=1s\n"),
    )
    registry.client.mset({"hold": 1, "go": 0})
    for name in ("waits.lua", *["many.lua"] * 30):
        enqueue(registry, name)
    fill(registry)
    with DaemonProcess(server.url) as daemon:
        until(lambda: states(registry).get("many.lua") in {"waiting", "queued"})
        until(lambda: some_may or "maxmemory" in daemon.output)
        assert ran(registry, "waits.lua") == ran(registry, "many.lua") == 0
        fill(registry, full=False)
        until(lambda: (ran(registry, "waits.lua"), ran(registry, "many.lua")) == (1, 30))
        until(lambda: ran(registry, "every.lua"))
        for name in ("retried.lua", "stopped.lua"):
            enqueue(registry, name)
        until(lambda: states(registry).get("retried.lua") == "delayed")
        until(lambda: states(registry).get("stopped.lua") == "running")
        registry.client.set("go", 1)
        fill(registry)
        before = ran(registry, "every.lua")
        registry.client.delete("hold")
        sleeps_until_due(registry)
        assert ran(registry, "retried.lua") == ran(registry, "stopped.lua") == 0
        assert ran(registry, "every.lua") <= before + 1
        fill(registry, full=False)
        until(lambda: ran(registry, "retried.lua") == ran(registry, "stopped.lua") == 1)
        until(lambda: ran(registry, "every.lua") > before + 1)
        assert registry.client.get("tried") == b"1"
        until(lambda: {*states(registry)} <= {"every.lua"})
    assert {one.status for one in read_executions(registry, None) if one.sproc not in {"retried.lua", "every.lua"}} == {
        "ok"
    }
    assert "Traceback" not in daemon.output


def sleeps_until_due(registry):
    """The retry of `retried.lua` has come up: it is delayed no more, or its time has passed for a second."""
    [(_, due_ms)] = registry.client.zrange(KEYS.delayed, 0, -1, withscores=True) or [(b"", 0)]
    until(lambda: time_ms(registry.client.execute_command("TIME")) > due_ms + 1500)


@pytest.mark.timeout(120)
def test_a_job_that_may_runs_in_a_full_server(registry, server):
    put(
        registry.client,
        job("may.lua", "-- oom=allow\n"),
        job("may_not.lua"),
        job("on.lua", "-- oom=allow\n-- event=del\n-- key=gone\n"),
        job("every.lua", "-- oom=allow\n-- every=1s\n"),
        sproc("asks.lua", "-- oom=allow\nreturn sproc.enqueue(ARGV[1])"),
    )
    registry.client.set("gone", 1)
    fill(registry)
    enqueue(registry, "may.lua")
    with pytest.raises(OutOfMemoryError):
        enqueue(registry, "may_not.lua")
    assert registry.client.fcall("luasprocs_execute", 0, "asks.lua", "may_not.lua")
    with DaemonProcess(server.url):
        until(lambda: ran(registry, "may.lua") == 1)
        until(lambda: ran(registry, "every.lua") > 1)
        registry.client.delete("gone")
        until(lambda: ran(registry, "on.lua") == 1)
        until(lambda: states(registry).get("may_not.lua") == "waiting")
        assert registry.client.fcall("luasprocs_execute", 0, "asks.lua", "may.lua")
        until(lambda: ran(registry, "may.lua") == 2)
        assert ran(registry, "may_not.lua") == 0
        fill(registry, full=False)
        until(lambda: ran(registry, "may_not.lua") == 1)
        until(lambda: "may_not.lua" not in states(registry))
    found = [one for one in read_executions(registry, None) if one.sproc == "may_not.lua"]
    assert [one.status for one in found] == ["ok"]


@pytest.mark.timeout(120)
def test_what_runs_already_may_do_what_needs_no_room(registry, server):
    body = (
        "redis.call('SET', 'here', 1) while redis.call('GET', 'hold') do end "
        "local refused = redis.pcall('SET', 'x', 1).err redis.call('DEL', 'here') return refused"
    )
    put(registry.client, ALLOW, job("lock.lua", "", body))
    registry.client.set("hold", 1)
    with DaemonProcess(server.url):
        enqueue(registry, "lock.lua")
        until(lambda: registry.client.exists("here"))
        fill(registry)
        registry.client.delete("hold")
        [done] = until(lambda: [one for one in read_executions(registry, None) if one.sproc == "lock.lua"])
    assert (done.status, done.reply[:4]) == ("ok", "OOM ")
    assert not registry.client.exists("here")


def test_after_setresp_3_it_is_asked_as_well(registry):
    source = "-- oom=allow\nredis.setresp(3) return sproc.call('deny.lua')"
    put(registry.client, ALLOW, DENY, sproc("three.lua", source))
    assert execute(registry, "three.lua") == b"ran"
    fill(registry)
    with pytest.raises(redis.OutOfMemoryError):
        execute(registry, "three.lua")
