"""Runs and errors by the minute: what the engine counts, and what is read of it, whoever ran what."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import HOUR_LIMIT_BYTES, MINUTES_TTL_MS
from luasprocs.operations.run import run
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state.minutes import DAY, EVERYONE, ByMinute, Minute, parsed, read_minutes
from luasprocs.state.stats import stored_stats
from tests.faults.test_server_clock import library
from tests.fuzz.mutated import mutated
from tests.live import put, sproc
from tests.soak import examples
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.conftest import OwnServer
    from tests.servers import Server

KEYS = Keys()
RUNS = sproc("a.lua", "if ARGV[1] == 'no' then error('boom') end return 1")
CALLED = sproc("called.lua", "return redis.call('INCR', KEYS[1])")


@pytest.fixture
def registry(server: Server) -> Registry:
    client = server.client()
    until(lambda: client.time()[0] % 60 < 50)  # no minute ends while a test counts
    return Registry(client, KEYS)


def fails(registry: Registry) -> None:
    with contextlib.suppress(Exception):
        run(registry, "a.lua", [], [b"no"], by="ann")


def call(client: Redis, *words: str) -> None:
    with contextlib.suppress(ResponseError):
        client.fcall(KEYS.function("execute"), len(words), *words, "called.lua")


def flush(registry: Registry) -> None:
    registry.call("flush")


def passed(registry: Registry, minutes: int) -> None:
    """So much time passes: what was counted is older by it."""
    for name in ("a.lua", "called.lua", EVERYONE):
        key = KEYS.stats(name)
        held: Any = registry.client.hget(key, "minute")
        if held:
            minute, _, rest = held.partition(b" ")
            registry.client.hset(key, "minute", b"%d %b" % (int(minute) - minutes, rest))
    put(registry.client, RUNS, CALLED)  # an engine that has not looked at them


def days(registry: Registry, *names: str) -> list[dict[int, Minute]]:
    """Each one's day, by minutes ago."""
    found = read_minutes(registry, names)
    return [{one.now - minute: ran for minute, ran in one.minutes.items()} for one in found.values()]


def test_runs_and_errors_stand_in_their_minutes(registry: Registry) -> None:
    put(registry.client, RUNS, CALLED)
    for _ in range(3):
        run(registry, "a.lua", [], [], by="ann")
    fails(registry)
    passed(registry, 61)
    assert days(registry, "a.lua") == [{61: Minute(4, 1)}], "before anything else has run"
    run(registry, "a.lua", [], [], by="ann")
    passed(registry, 2)
    assert days(registry, "a.lua") == [{61: Minute(4, 1), 2: Minute(1, 0)}]
    assert read_minutes(registry, ["a.lua"])["a.lua"].failing_since_ms == 0, "it went well meanwhile"
    fails(registry)
    fails(registry)
    found = read_minutes(registry, ["a.lua"])["a.lua"]
    assert found.now_ms - 20_000 < found.failing_since_ms <= found.now_ms
    assert days(registry, "a.lua", "none.lua") == [{61: Minute(4, 1), 2: Minute(1, 0), 0: Minute(2, 2)}, {}]


def test_direct_calls_count_as_runs_when_they_are_flushed(registry: Registry) -> None:
    put(registry.client, RUNS, CALLED)
    registry.client.set("text", "x")
    for key in ("k", "k", "text"):
        call(registry.client, key)
    flush(registry)
    passed(registry, 5)
    for _ in range(1000):
        call(registry.client, "k")
    assert days(registry, "called.lua") == [{5: Minute(3, 1), 0: Minute(1000, 0)}]
    call(registry.client, "k")
    put(registry.client, RUNS, CALLED)
    assert days(registry, "called.lua") == [{5: Minute(3, 1), 0: Minute(1001, 0)}], "an apply flushes"


def test_all_of_them_are_the_sum(registry: Registry) -> None:
    put(registry.client, RUNS, CALLED)
    run(registry, "a.lua", [], [], by="ann")
    assert days(registry, EVERYONE) == [{0: Minute(1, 0)}], "the first of a second at once"
    fails(registry)
    call(registry.client, "k")
    flush(registry)
    passed(registry, 7)
    fails(registry)
    flush(registry)
    assert days(registry, EVERYONE) == [{7: Minute(3, 1), 0: Minute(1, 1)}]


def test_callers_who_may_only_count_leave_the_minute_to_the_next_flush(registry: Registry, server: Server) -> None:
    put(registry.client, RUNS, CALLED)
    registry.client.execute_command("ACL", "SETUSER", "app", *rule("caller", KEYS, own_keys=["k"]), ">pw")
    call(registry.client, "k")
    flush(registry)
    passed(registry, 9)
    registry.client.execute_command("ACL", "SETUSER", "none", "on", ">pw", "~k", "+fcall", "+incr", "+time")
    for user, calls in (("app", 1), ("none", 2100), ("app", 999)):  # what may not be written waits
        caller = server.client(username=user, password="pw")
        pipe = caller.pipeline(transaction=False)
        for _ in range(calls):
            pipe.fcall(KEYS.function("execute"), 1, "k", "called.lua")
        pipe.execute()
    flush(registry)
    assert days(registry, "called.lua", EVERYONE) == [{9: Minute(1, 0), 0: Minute(3100, 0)}] * 2
    assert not [entry for entry in registry.client.acl_log() if b"PEXPIRE" in str(entry).encode().upper()]


def test_a_ring_is_small_and_goes_with_its_sproc(registry: Registry) -> None:
    put(registry.client, RUNS, CALLED)
    run(registry, "a.lua", [], [], by="ann")
    passed(registry, 3)
    run(registry, "a.lua", [], [], by="ann")
    key = KEYS.minutes("a.lua")
    assert MINUTES_TTL_MS - 60_000 < registry.client.pttl(key) <= MINUTES_TTL_MS
    (field,) = registry.client.hkeys(key)
    held: Any = registry.client.hget(key, field)
    registry.client.hset(key, field, held + b"@1" * HOUR_LIMIT_BYTES)
    full = registry.client.hget(key, field)
    passed(registry, 3)
    run(registry, "a.lua", [], [], by="ann")
    assert registry.client.hget(key, field) == full, "no field grows without end"
    put(registry.client, CALLED)
    assert not registry.client.exists(key)


def test_keys_that_somebody_wrote_over_give_way(registry: Registry) -> None:
    put(registry.client, RUNS, CALLED)
    for place in (KEYS.minutes("a.lua"), KEYS.stats("a.lua"), KEYS.stats(EVERYONE), KEYS.minutes(EVERYONE)):
        registry.client.set(place, "no hash")
    run(registry, "a.lua", [], [], by="ann")
    passed(registry, 1)
    run(registry, "a.lua", [], [], by="ann")
    flush(registry)
    assert days(registry, "a.lua", EVERYONE) == [{1: Minute(1, 0), 0: Minute(1, 0)}] * 2
    assert "minute" not in str(stored_stats(registry, "a.lua"))


def test_a_day_of_the_server_s_own_clock(
    server_kind: str, own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server_kind != "valkey":
        pytest.skip("Debian's servers do not start with libfaketime: their jemalloc asks for the time too early")
    shift = tmp_path / "shift"
    shift.write_text("+0")
    with monkeypatch.context() as faked:
        faked.setenv("LD_PRELOAD", library())
        faked.setenv("FAKETIME_TIMESTAMP_FILE", str(shift))
        faked.setenv("FAKETIME_NO_CACHE", "1")
        faked.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server = own_server()
    registry = Registry(server.client(), KEYS)
    put(registry.client, RUNS, CALLED)
    began_s = registry.client.time()[0]

    def set_clock(offset_s: int) -> None:
        (tmp_path / "next").write_text(f"+{offset_s}")
        (tmp_path / "next").rename(shift)
        until(lambda: 0 <= registry.client.time()[0] - began_s - offset_s < 60)

    for minute in range(0, 2 * DAY, 30):
        set_clock(minute * 60)
        run(registry, "a.lua", [], [], by="ann")
    found = read_minutes(registry, ["a.lua"])["a.lua"]
    assert len(found.minutes) in {DAY // 30, DAY // 30 + 1}
    assert {ran for minute, ran in found.minutes.items() if minute != found.now} == {Minute(1, 0)}
    assert registry.client.hlen(KEYS.minutes("a.lua")) == 24
    set_clock(0)  # back by two days
    run(registry, "a.lua", [], [], by="ann")
    fails(registry)
    assert read_minutes(registry, ["a.lua"])["a.lua"].since(1) == [Minute(2, 1)]


NOW_MS = 491_233 * 3_600_000 + 30 * 60_000
OPENED = [b"29474010 5 1", b"9", b"4", b"2", b"0"]


def test_what_is_read() -> None:
    hours = {
        b"1": b"491233 @12A13!4\\1@1_9",
        b"0": b"491232 @7",
        b"23": b"491231 {1",
        b"2": b"491186 @1",
        b"3": b"491211 @5_6",
    }
    assert parsed(OPENED, hours, NOW_MS) == {
        29_473_980: Minute(13, 0),
        29_473_981: Minute(13, 4),
        29_474_008: Minute(1, 0),
        29_474_010: Minute(8, 1),
        29_473_920: Minute(7, 0),
        29_473_919: Minute(1, 0),
        29_472_660: Minute(5, 0),
        29_472_691: Minute(6, 0),
    }, "a minute that comes twice is a sum; what is older than a day, or to come, is none"
    assert ByMinute(NOW_MS, {29_474_010: Minute(8, 1), 29_474_008: Minute(1)}).since(4) == [
        Minute(),
        Minute(1),
        Minute(),
        Minute(8, 1),
    ]


@examples(200)
@given(
    opened=st.lists(mutated(tuple(OPENED)) | st.none(), min_size=5, max_size=5),
    field=mutated((b"1", b"0", b"23")),
    hour=mutated((b"491233 @12A13!4{1", b"491232 @" + b"9" * 30, b"491233 @1!" + b"9" * 16, b"491233 ")),
)
def test_anybody_may_have_written_anything(opened: list[bytes | None], field: bytes, hour: bytes) -> None:
    found = parsed(opened, {field: hour}, NOW_MS)
    now = NOW_MS // 60_000
    assert all(now - DAY < minute <= now and min(ran) >= 0 for minute, ran in found.items())
