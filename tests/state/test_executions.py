"""What ran: records, gaps and stats as they stand in Redis, from real runs and from hostile hands."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.errors import RegistryError
from luasprocs.server.registry import Registry
from luasprocs.state.executions import (
    START,
    Execution,
    Gap,
    RecordFilter,
    newest_id,
    newest_ids,
    read_executions,
    read_gaps,
    time_text,
)
from luasprocs.state.stats import Stats
from luasprocs.state.tails import Tail, Tails, follow
from tests.live import put, sproc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

KEYS = Keys()


def run(client: redis.Redis, name: str, *args: str, key: str = "") -> Any:
    keys = [key] if key else []
    return client.execute_command("FCALL", KEYS.function("run"), len(keys), *keys, name, "ann@host", *args)


def add(client: redis.Redis, entry_id: str = "*", **fields: str | bytes) -> str:
    """A record by hand."""
    given: Any = fields or {"sproc": "x.lua"}
    found: Any = client.xadd(KEYS.executions, given, id=entry_id)
    return str(found.decode())


def names(records: list[Execution]) -> list[str]:
    return [one.sproc for one in records]


def taken(records: Iterator[Execution], count: int) -> list[Execution]:
    return [next(records) for _ in range(count)]


def test_a_run_is_read_as_it_was_recorded(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return {1, 'two'}"), sproc("bad.lua", "error('not today')"))
    run(client, "a.lua", key="k1")
    with pytest.raises(redis.ResponseError):
        run(client, "bad.lua")
    good, bad = read_executions(Registry(client, KEYS))
    assert (good.sproc, good.trigger, good.key, good.event, good.origin) == ("a.lua", "call", "k1", "", "ann@host")
    assert (good.depth, good.status, good.reply, good.error, good.commit) == (1, "ok", '[1,"two"]', "", "c1")
    assert good.id.startswith(f"{good.time_ms}-")
    assert 0 <= good.duration_us < 1_000_000
    assert not good.failed
    assert (bad.status, bad.failed) == ("error", True)
    assert bad.said.endswith("bad.lua:1: not today")


def test_missing_and_garbage_fields_have_their_defaults() -> None:
    assert Execution.parse(b"5-1", {}) == Execution("5-1", 5)
    assert Execution.parse("5-1", None) == Execution("5-1", 5)
    for bad in (b"", b"-1", b"1.5", b"\xff", "٣".encode(), b"9" * 5000, b"1e9"):
        found = Execution.parse(b"7-0", {b"depth": bad, b"duration_us": bad, b"other": b"x"})
        assert (found.depth, found.duration_us) == (0, 0), bad
    found = Execution.parse(b"18446744073709551615-0", {b"sproc": b"a\xff"})
    assert (found.sproc, time_text(found.time_ms)) == ("a\udcff", "?")


def test_times_and_durations_in_words() -> None:
    assert time_text(1_700_000_000_123) == "2023-11-14T22:13:20.123Z"
    assert Execution("1-1", 1, duration_us=41).duration_ms_text == "0.041"
    assert Execution("1-1", 1, duration_us=1_234_567).duration_ms_text == "1234.567"


def test_the_last_are_read_the_newest_last(server: Server) -> None:
    client = server.client()
    assert read_executions(Registry(client, KEYS)) == []
    for number in range(1, 1201):
        add(client, f"{number}-0", sproc=f"{number}", status="ok" if number % 400 else "error")
    assert names(read_executions(Registry(client, KEYS), 3)) == ["1198", "1199", "1200"]
    assert len(read_executions(Registry(client, KEYS))) == 20
    assert read_executions(Registry(client, KEYS), 0) == []
    assert names(read_executions(Registry(client, KEYS), None)) == [str(number) for number in range(1, 1201)]
    assert names(read_executions(Registry(client, KEYS), None, 1199)) == ["1199", "1200"]
    assert names(read_executions(Registry(client, KEYS), 2, until={"": "10-0"})) == ["9", "10"]
    assert names(read_executions(Registry(client, KEYS), 2, wanted=RecordFilter(statuses=("error",)))) == [
        "800",
        "1200",
    ]
    assert names(read_executions(Registry(client, KEYS), 9, 500, wanted=RecordFilter(statuses=("error",)))) == [
        "800",
        "1200",
    ]


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (RecordFilter(), True),
        (RecordFilter(("a/b.lua",)), True),
        (RecordFilter(("a",)), False),
        (RecordFilter(("a*",)), True),
        (RecordFilter(("x", "*.lua")), True),
        (RecordFilter(triggers=("call", "event")), True),
        (RecordFilter(triggers=("cron",)), False),
        (RecordFilter(("a*",), ("call",), ("error",)), False),
        (RecordFilter(("a*",), ("call",), ("ok",)), True),
    ],
)
def test_what_is_wanted(wanted: RecordFilter, matches: bool) -> None:
    assert wanted(Execution("1-1", 1, "a/b.lua", "call", status="ok")) is matches


def test_a_name_with_glob_characters_means_itself() -> None:
    assert RecordFilter(("glob*[a]?.lua",))(Execution("1-1", 1, "glob*[a]?.lua"))
    assert RecordFilter(("a\udcff*",))(Execution("1-1", 1, "a\udcff.lua"))


def test_following_gives_what_comes_and_misses_nothing_between(server: Server) -> None:
    client = server.client()
    first = add(client, sproc="0")
    records = follow(Tails(Registry(server.client(), KEYS), {"": first}))
    for number in range(1, 1300):
        add(client, sproc=f"{number}")
    assert names(taken(records, 1299)) == [f"{number}" for number in range(1, 1300)]
    timer = threading.Timer(0.1, add, [client], {"sproc": "later"})
    timer.start()
    assert next(records).sproc == "later"
    timer.join()


def test_following_survives_a_stream_that_is_trimmed_deleted_or_starts_over(server: Server) -> None:
    client = server.client()
    add(client, "100-0", sproc="seen")
    records = follow(Tails(Registry(server.client(socket_timeout=10), KEYS), newest_ids(Registry(client, KEYS))))
    for number in range(101, 200):
        add(client, f"{number}-0", sproc=f"{number}")
    client.xtrim(KEYS.executions, maxlen=2, approximate=False)
    assert names(taken(records, 2)) == ["198", "199"]
    client.xtrim(KEYS.executions, maxlen=0, approximate=False)
    add(client, "300-0", sproc="after a trim to nothing")
    assert next(records).sproc == "after a trim to nothing"
    client.delete(KEYS.executions)
    add(client, "5-0", sproc="the clock went back")
    assert next(records).sproc == "the clock went back"


def test_a_deleted_newest_record_repeats_nothing(server: Server) -> None:
    client = server.client()
    tail = Tail(Registry(client, KEYS))
    for number in range(1, 4):
        add(client, f"{number}-0", sproc=f"{number}")
    assert names(tail.read()) == ["1", "2", "3"]
    client.xdel(KEYS.executions, "3-0")
    assert tail.read() == tail.read() == []
    add(client, "4-0", sproc="4")
    assert names(tail.read()) == ["4"]


def test_idle_is_called_while_nothing_comes(server: Server) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    calls: list[int] = []

    def idle() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Enough

    with pytest.raises(Enough):
        next(follow(Tails(Registry(server.client(socket_timeout=10), KEYS)), idle=idle))


def test_a_key_that_is_no_stream_is_named(server: Server) -> None:
    client = server.client()
    client.set(KEYS.executions, "x")
    client.set(KEYS.gaps, "x")
    for read in (
        lambda: read_executions(Registry(client, KEYS)),
        lambda: newest_id(Registry(client, KEYS)),
        lambda: next(follow(Tails(Registry(client, KEYS)))),
        lambda: read_gaps(Registry(client, KEYS)),
    ):
        with pytest.raises(RegistryError, match="is not a stream"):
            read()


def test_the_newest_id(server: Server) -> None:
    assert newest_id(Registry(server.client(), KEYS)) == START
    assert newest_id(Registry(server.client(), KEYS)) != add(server.client())


def test_stats_of_real_runs(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"), sproc("bad.lua", "error('x')"))
    for _ in range(5):
        run(client, "a.lua")
    with pytest.raises(redis.ResponseError):
        run(client, "bad.lua")
    good = Stats.parse(client.hgetall(KEYS.stats("a.lua")))
    bad = Stats.parse(client.hgetall(KEYS.stats("bad.lua")))
    assert (good.runs, good.errors, good.last_error) == (5, 0, "")
    assert sum(runs for _, runs in good.buckets) == 5
    assert (bad.runs, bad.errors) == (1, 1)
    assert "bad.lua:1: x" in bad.last_error
    assert good.last_run_s > 1_600_000_000
    assert good.p50_us is not None
    assert good.p99_us is not None
    assert 0 <= good.p50_us <= good.p99_us <= good.duration_us_max


def test_percentiles_come_from_the_buckets() -> None:
    stats = Stats.parse(
        {b"le_100": b"50", b"le_50": b"40", b"le_1000": b"9", b"le_inf": b"1", b"duration_us_max": b"9000000"}
    )
    assert stats.buckets == ((50, 40), (100, 50), (1000, 9), (None, 1))
    assert stats.p50_us == 60  # the 10th of the 50 between 50 and 100
    assert stats.p99_us == 1000
    assert stats.percentile_us(1) == 9_000_000
    assert Stats.parse({b"le_100": b"10", b"duration_us_max": b"12"}).p99_us == 12
    assert Stats.parse({b"le_inf": b"2"}).p50_us == 0


def test_stats_of_garbage_are_none() -> None:
    assert Stats.parse({}) == Stats.parse(None) == Stats()
    found = Stats.parse(
        {b"le_x": b"1", b"le_": b"2", b"le_50": b"-3", b"le_\xff": b"1", b"runs": b"\x00", b"other": b"1"}
    )
    assert found == Stats()
    assert found.p50_us is None


def test_gaps_are_read_the_newest_last(server: Server) -> None:
    client = server.client()
    assert read_gaps(Registry(client, KEYS)) == []
    fields: Any = {"source": "s", "from_ms": "10", "to_ms": "20", "why": "w", "daemon": "d"}
    client.xadd(KEYS.gaps, fields, id="21-0")
    client.xadd(KEYS.gaps, {"from_ms": b"\xff", "to_ms": "-1"}, id="22-0")
    assert read_gaps(Registry(client, KEYS)) == [Gap("21-0", 21, "s", 10, 20, "w", "d"), Gap("22-0", 22)]
    assert [gap.id for gap in read_gaps(Registry(client, KEYS), 1)] == ["22-0"]
