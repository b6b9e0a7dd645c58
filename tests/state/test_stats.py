"""What Redis knows of each sproc's runs: whoever asks gets the same answer, whenever they begin to look."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.operations.run import run
from luasprocs.server.registry import Registry
from luasprocs.state.stats import Stats
from tests.live import put, sproc
from tests.status import finding
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.servers import Server

KEYS = Keys()


@pytest.fixture
def registry(server: Server) -> Registry:
    return Registry(server.client(), KEYS)


def stats_of(registry: Registry, name: str) -> Stats:
    return Stats.parse(registry.client.hgetall(raw(KEYS.stats(name))))


def outcome(registry: Registry, name: str) -> tuple[str, int]:
    found = stats_of(registry, name)
    return found.last_status, found.failed_in_a_row


def test_how_the_last_run_ended_and_how_many_failed_in_a_row(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "if ARGV[1] == 'no' then error('boom') end"))
    assert outcome(registry, "a.lua") == ("", 0)
    since_ms = 0
    for word, wanted in (("yes", ("ok", 0)), ("no", ("error", 1)), ("no", ("error", 2)), ("yes", ("ok", 0))):
        with contextlib.suppress(LuasprocsError):
            run(registry, "a.lua", [], [word.encode()], by="ann")
        assert outcome(registry, "a.lua") == wanted
        if word == "no":
            found = stats_of(registry, "a.lua")
            assert found.failing
            assert found.failing_since_ms == (since_ms or found.failing_since_ms) > 0, "since the first of them"
            since_ms = found.failing_since_ms
    assert not stats_of(registry, "a.lua").failing


def test_runs_by_events_in_one_batch(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    put(registry.client, sproc("a.lua", "-- event=set\n-- key=k*\nif ARGV[1] == 'no' then error('boom') end"))
    start_daemon(server.url)
    for words, wanted in (
        (("no",) * 30, ("error", 30)),
        (("no",) * 20, ("error", 50)),
        (("no", "yes", "no", "no"), ("error", 2)),
        (("no", "no", "yes"), ("ok", 0)),
    ):
        before = stats_of(registry, "a.lua").runs
        pipe = registry.client.pipeline()
        for place, word in enumerate(words):
            pipe.set(f"k{place}", word)
        pipe.execute()
        until(lambda: stats_of(registry, "a.lua").runs == before + len(words))  # noqa: B023  # called at once
        assert outcome(registry, "a.lua") == wanted


def test_a_schedule_and_a_job_that_failed(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    put(
        registry.client,
        sproc("tick.lua", "-- every=1s\nerror('no')"),
        sproc("later.lua", "-- runasync=yes\n-- timeout=200ms\nwhile true do end"),
    )
    start_daemon(server.url)
    run(registry, "later.lua", by="ann")
    until(lambda: outcome(registry, "tick.lua") >= ("error", 2))
    until(lambda: outcome(registry, "later.lua") == ("timeout", 1))


CALLS = {
    "raises": "return redis.call('INCR', KEYS[1])",
    "raises and sees ARGV": "return redis.call('INCR', KEYS[1], ARGV[2])",
    "error": "error('boom')",
    "an error reply": "return redis.error_reply('NO boom')",
    "what pcall caught": "local found = redis.pcall('INCR', KEYS[1])\nreturn found",
    "a table that is no error reply": "error({})",
    "bound to events": "-- event=del\n-- key=x\nreturn redis.call('INCR', KEYS[1])",
}


@pytest.mark.parametrize("source", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("flushed", [True, False], ids=["flushed", "applied"])
def test_direct_calls_that_fail_are_counted(registry: Registry, source: str, flushed: bool) -> None:
    client = registry.client
    put(client, sproc("a.lua", source), sproc("b.lua", "return 1"))
    client.set("text", "x")
    for _ in range(3):
        with contextlib.suppress(ResponseError):
            client.fcall(KEYS.function("execute"), 1, "text", "a.lua")
    client.fcall(KEYS.function("execute"), 0, "b.lua")
    if flushed:
        client.fcall(KEYS.function("flush"), 0)
    else:
        put(client, sproc("a.lua", "return 2"))
    found = stats_of(registry, "a.lua")
    assert (found.calls, found.call_errors) == (3, 3)
    assert (stats_of(registry, "b.lua").calls, stats_of(registry, "b.lua").call_errors) == (1, 0)


def test_a_thousand_calls_are_written_by_the_last_of_them_and_none_counts_as_failed(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return ARGV[1]"))
    pipe = registry.client.pipeline(transaction=False)
    for number in range(1001):
        pipe.fcall(KEYS.function("execute"), 0, "a.lua", number)
    assert pipe.execute() == [b"%d" % number for number in range(1001)]
    found = stats_of(registry, "a.lua")
    assert (found.calls, found.call_errors) == (1000, 0)


def test_calls_by_fcall_ro(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "-- readonly=yes\nreturn redis.call('LLEN', KEYS[1])"))
    registry.client.set("text", "x")
    for key in ("text", "none"):
        with contextlib.suppress(ResponseError):
            registry.client.fcall_ro(KEYS.function("execute_ro"), 1, key, "a.lua")
    registry.client.fcall(KEYS.function("flush"), 0)
    assert (stats_of(registry, "a.lua").calls, stats_of(registry, "a.lua").call_errors) == (2, 1)


def test_missed_times(registry: Registry, server: Server, start_daemon: StartDaemon) -> None:
    put(registry.client, sproc("often.lua", "-- every=1s\n-- misfire=skip\nreturn 1"))
    daemon = start_daemon(server.url)
    until(lambda: stats_of(registry, "often.lua").runs)
    daemon.kill()
    last_s = stats_of(registry, "often.lua").last_run_s
    until(lambda: registry.client.time()[0] > last_s + 4)
    start_daemon(server.url)
    found = until(lambda: (now := stats_of(registry, "often.lua")).missed and now)
    assert found.last_missed_ms > 0
    assert finding(server, "missed")["names"] == ["often.lua"]


def test_what_direct_calls_take_is_sampled(registry: Registry) -> None:
    client = registry.client
    put(
        client,
        sproc("slow.lua", "local n = 0 for i = 1, 20000 do n = n + i end return n"),
        sproc("never.lua", "return 1"),
    )
    registry.call("flush")
    client.config_resetstat()
    for calls in (1000, 1000, 100):
        pipe = client.pipeline(transaction=False)
        for _ in range(calls):
            pipe.fcall(KEYS.function("execute"), 0, "slow.lua")
        assert set(pipe.execute()) == {200010000}
    registry.call("flush")
    stats: Any = client.info("commandstats")
    found = stats_of(registry, "slow.lua")
    assert found.calls == 2100
    # Of the first thousand none was timed, as nothing had been flushed; no machine does it in less than 20 us.
    assert 1100 * 20 < found.calls_us_total < 20 * stats["cmdstat_fcall"]["usec"], "four of a thousand stand for all"
    assert found.server_us == found.calls_us_total
    assert stats_of(registry, "never.lua").calls_us_total == 0


@pytest.mark.parametrize(
    "header", ["", "-- function=own\n", "-- event=del\n-- key=x\n"], ids=["named", "own", "guarded"]
)
def test_a_call_that_is_timed_may_raise(registry: Registry, header: str) -> None:
    client = registry.client
    put(client, sproc("a.lua", f"{header}return redis.call('INCR', KEYS[1])"))
    client.set("text", "x")
    call = ("own", 1) if "function" in header else (KEYS.function("execute"), 1)
    name = () if "function" in header else ("a.lua",)
    client.fcall(*call, "k", *name)
    for flushed in range(1, 3):
        registry.call("flush")
        with pytest.raises(ResponseError):
            client.fcall(*call, "text", *name)
        for _ in range(6):
            client.fcall(*call, "k", *name)
        registry.call("flush")
        found = stats_of(registry, "a.lua")
        assert (found.calls, found.call_errors) == (1 + 7 * flushed, flushed)
    assert client.get("k") == b"13"
