from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from luasprocs import connect
from luasprocs.errors import (
    JobError,
    NoSprocError,
    ProblemsError,
    ScriptError,
    SettingsError,
    SprocDisabledError,
    WaitError,
)
from luasprocs.operations.pause import pause
from luasprocs.registry.live import read_live
from luasprocs.testing import START, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTS = "-- event=set\n-- key=user:*\nreturn redis.call('INCR', 'users')"
ENQUEUES = "-- event=incrby\n-- key=users\nreturn sproc.enqueue('job.lua', {}, {redis.call('GET', KEYS[1])})"
JOB = "-- runasync=yes\nredis.call('SET', 'last', ARGV[1])\nreturn 'saw ' .. ARGV[1]"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


def names(sandbox: Sandbox) -> list[str]:
    return sorted(read_live(sandbox.registry).sprocs)


# Sprocs


def test_a_call_replies_as_an_applications_does(sandbox: Sandbox) -> None:
    sandbox.put("echo.lua", "return {KEYS[1] or false, ARGV[1], ARGV[2], 7}")
    assert sandbox.call("echo.lua", ["k"], ["text", b"\xff"]) == [b"k", b"text", b"\xff", 7]
    assert sandbox.call("echo.lua", keys=[b"k"], args=[1, 1.5]) == [b"k", b"1", b"1.5", 7]
    assert connect(sandbox.url).execute("echo.lua", args=["a", "b"]) == [None, b"a", b"b", 7]
    assert sandbox.sprocs.execute("echo.lua", keys=["k"]) == [b"k"]


def test_put_adds_and_replaces_and_remove_takes_away(sandbox: Sandbox) -> None:
    sandbox.put("a.lua", "return 1")
    sandbox.put("b.lua", b"return 2")
    assert (sandbox.call("a.lua"), sandbox.call("b.lua")) == (1, 2)
    sandbox.put("a.lua", "return 3")
    assert (sandbox.call("a.lua"), sandbox.call("b.lua")) == (3, 2)
    sandbox.remove("a.lua", "nope.lua")
    assert names(sandbox) == ["b.lua"]
    with pytest.raises(NoSprocError):
        sandbox.call("a.lua")


def test_a_folder_is_put_by_its_paths(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/double.lua").write_text("-- library=yes\nreturn {of = function(n) return n * 2 end}")
    (tmp_path / "six.lua").write_text("return require('lib/double.lua').of(3)")
    (tmp_path / "notes.txt").write_text("no sproc")
    sandbox.put_all(tmp_path)
    assert names(sandbox) == ["lib/double.lua", "six.lua"]
    assert sandbox.call("six.lua") == 6


def test_all_that_is_wrong_is_told_and_nothing_is_changed(sandbox: Sandbox) -> None:
    sandbox.put("lib.lua", "-- library=yes\nreturn {}")
    with pytest.raises(ProblemsError) as caught:
        sandbox.put_all(
            {"a.lua": "-- evnt=set\nreturn 1", "b.lua": "return (\n", "c.txt": "return 1", "d.lua": "return 1"}
        )
    assert {problem.path for problem in caught.value.problems} == {"a.lua", "b.lua", "c.txt"}
    with pytest.raises(ProblemsError, match=r"a\.lua:1:\d+: required library 'nope\.lua'"):
        sandbox.put("a.lua", "return require('nope.lua')")
    assert names(sandbox) == ["lib.lua"]
    sandbox.put("a.lua", "return require('lib.lua')")


def test_errors_are_those_of_an_application(sandbox: Sandbox) -> None:
    sandbox.put_all({"fails.lua": "-- one\nerror('no')", "off.lua": "-- enabled=no\nreturn 1"})
    with pytest.raises(ScriptError, match=r"fails\.lua:2: no"):
        sandbox.call("fails.lua")
    with pytest.raises(SprocDisabledError):
        sandbox.call("off.lua")


def test_a_namespace() -> None:
    with Sandbox(namespace="shop") as sandbox:
        sandbox.put_all({"a.lua": COUNTS, "tick.lua": "-- every=1h\nreturn 1"})
        assert [one.sproc for one in sandbox.fire("SET", "user:1", "x")] == ["a.lua"]
        assert len(sandbox.advance("2h")) == 2
        assert sandbox.client.exists("shop:__*_Sproc_List_*__")
        assert connect(sandbox.url, "shop").execute("tick.lua") == 1


# Events


def test_fire_returns_when_all_has_run_that_the_write_causes(sandbox: Sandbox) -> None:
    sandbox.put_all({"counts.lua": COUNTS, "enqueues.lua": ENQUEUES, "job.lua": JOB})
    for number in (b"1", b"2", b"3"):
        ran = sandbox.fire("SET", "user:1", "ann")
        assert [(one.sproc, one.trigger, one.status, one.depth) for one in ran] == [
            ("counts.lua", "event", "ok", 1),
            ("enqueues.lua", "event", "ok", 2),
            ("job.lua", "async", "ok", 2),
        ]
        assert sandbox.client.get("last") == number
        assert ran[-1].reply == f"saw {number.decode()}"
    assert sandbox.fire("SET", "other", "x") == ()


def test_what_was_put_a_moment_ago_hears_the_write(sandbox: Sandbox) -> None:
    for number in range(5):
        sandbox.put(f"on{number}.lua", f"-- event=set\n-- key=k{number}\nreturn 1")
        assert [one.sproc for one in sandbox.fire("SET", f"k{number}", 1)] == [f"on{number}.lua"]


def test_a_key_expires(sandbox: Sandbox) -> None:
    sandbox.put("gone.lua", "-- event=expired\n-- key=session:*\nreturn KEYS[1]")
    sandbox.client.set("session:1", "x", ex=1000)
    assert [one.reply for one in sandbox.fire("expired", "session:1")] == ["session:1"]
    with pytest.raises(SettingsError, match="no key 'session:1' that could expire"):
        sandbox.fire("expired", "session:1")


def test_a_run_that_fails_is_a_record_and_no_error(sandbox: Sandbox) -> None:
    sandbox.put("fails.lua", "-- event=hset\n-- key=h\nerror('no')")
    [record] = sandbox.fire("HSET", "h", "field", 1)
    assert (record.status, record.event, record.key) == ("error", "hset", "h")
    assert "fails.lua:3: no" in record.said
    assert sandbox.logs("fails.lua", "error") == (record,)
    assert sandbox.logs(status="ok") == ()


def test_a_write_that_the_server_refuses(sandbox: Sandbox) -> None:
    sandbox.client.set("k", "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        sandbox.fire("HSET", "k", "field", 1)


def test_settle_waits_for_writes_of_the_application(sandbox: Sandbox) -> None:
    sandbox.put("counts.lua", COUNTS)
    sandbox.fire("SET", "user:1", "x")
    with Redis.from_url(sandbox.url) as application:
        for number in range(50):
            application.set(f"user:{number}", "x")
    sandbox.settle()
    assert sandbox.client.get("users") == b"51"


# Jobs


def test_a_job_runs_in_a_worker_and_may_write_files(sandbox: Sandbox) -> None:
    sandbox.put(
        "file.lua",
        "-- runasync=yes\nlocal f = io.open('out.txt', 'w')\nf:write(KEYS[1], ARGV[1])\nf:close()\nprint('done')",
    )
    record = sandbox.run_job("file.lua", ["k"], [7])
    assert (record.status, record.trigger, record.reply.strip()) == ("ok", "async", "done")
    assert (sandbox.files / "out.txt").read_text() == "k7"


def test_a_job_that_fails_was_tried_as_often_as_it_says(sandbox: Sandbox) -> None:
    source = "-- runasync=yes\n-- retries=2\n-- backoff=10ms\nif redis.call('INCR', 'tries') < ARGV[1] + 0 then error('no') end"
    sandbox.put("tries.lua", source)
    assert sandbox.run_job("tries.lua", args=[3]).status == "ok"
    sandbox.client.delete("tries")
    assert sandbox.run_job("tries.lua", args=[9]).status == "error"
    assert sandbox.client.get("tries") == b"3"


def test_what_is_no_job_is_said(sandbox: Sandbox) -> None:
    sandbox.put("a.lua", "return 1")
    with pytest.raises(ScriptError, match=r"a\.lua is not runasync=yes"):
        sandbox.run_job("a.lua")
    with pytest.raises(NoSprocError):
        sandbox.run_job("nope.lua")


def test_a_job_that_does_not_end_ends_the_test() -> None:
    with Sandbox(timeout_s=1) as sandbox:
        sandbox.put("endless.lua", "-- runasync=yes\n-- overlap=skip\n-- timeout=3s\nwhile true do end")
        with pytest.raises(WaitError, match="has not ended within 1 s"):
            sandbox.run_job("endless.lua")
        with pytest.raises(JobError, match="overlap=skip"):
            sandbox.run_job("endless.lua")
        with pytest.raises(WaitError, match="jobs have ended within 1 s"):
            sandbox.settle()


# Schedules


def test_the_clock_runs_each_time_once_and_in_order(sandbox: Sandbox) -> None:
    sandbox.put_all({
        "hourly.lua": "-- cron=0 * * * *\nreturn ARGV[1]",
        "often.lua": "-- every=20m\nreturn ARGV[2]",
    })  # fmt: skip
    assert sandbox.now == START
    ran = sandbox.advance("1h")
    hour = round(START.timestamp()) + 3600
    assert [(one.sproc, one.trigger, one.origin) for one in ran] == [
        ("often.lua", "cron", str(hour - 2400)),
        ("often.lua", "cron", str(hour - 1200)),
        ("hourly.lua", "cron", str(hour)),
        ("often.lua", "cron", str(hour)),
    ]
    assert [one.reply for one in ran if one.sproc == "hourly.lua"] == [str(hour)]
    assert sandbox.now == START + timedelta(hours=1)
    assert sandbox.advance("19m59s") == ()
    assert len(sandbox.advance(timedelta(seconds=1))) == 1


def test_nothing_runs_by_itself(sandbox: Sandbox) -> None:
    sandbox.put_all({"often.lua": "-- every=100ms\nreturn redis.call('INCR', 'ticks')", "on.lua": COUNTS})
    sandbox.fire("SET", "user:1", "x")  # a daemon is there
    sandbox.client.execute_command("WAIT", 1, 500)  # half a second
    assert sandbox.client.exists("ticks") == 0
    sandbox.advance("1s")
    assert sandbox.client.get("ticks") == b"10"


def test_a_zone_and_its_change_of_clocks() -> None:
    with Sandbox(now=datetime(2024, 3, 30, 12, tzinfo=UTC)) as sandbox:
        sandbox.put("night.lua", "-- cron=30 2 * * *\n-- timezone=Europe/Berlin\nreturn 1")
        ran = [datetime.fromtimestamp(int(one.origin), UTC).isoformat() for one in sandbox.advance("2d")]
        # 02:30 is not there on the 31st: what is due then runs at the change, 01:00 UTC.
        assert ran == ["2024-03-31T01:00:00+00:00", "2024-04-01T00:30:00+00:00"]


def test_what_a_schedule_causes_has_run_before_the_next_time(sandbox: Sandbox) -> None:
    sandbox.put_all({
        "tick.lua": "-- every=1h\nredis.call('SET', 'user:' .. ARGV[1], 'x')",
        "counts.lua": COUNTS,
        "enqueues.lua": ENQUEUES,
        "job.lua": JOB,
    })  # fmt: skip
    ran = sandbox.advance("2h")
    assert [one.sproc for one in ran] == ["tick.lua", "counts.lua", "enqueues.lua", "job.lua"] * 2


def test_an_async_schedule_runs_in_a_worker_each_time(sandbox: Sandbox) -> None:
    sandbox.put("job.lua", "-- every=1h\n-- runasync=yes\nreturn ARGV[1]")
    ran = sandbox.advance("3h")
    assert [(one.trigger, one.status) for one in ran] == [("async", "ok")] * 3
    assert [int(one.reply) for one in ran] == [round(START.timestamp()) + 3600 * hour for hour in (1, 2, 3)]


def test_a_paused_schedule_and_one_that_is_put_later_owe_nothing(sandbox: Sandbox) -> None:
    sandbox.put("a.lua", "-- every=1h\nreturn 1")
    pause(sandbox.registry, ["a.lua"], by="ann")
    assert sandbox.advance("5h") == ()
    sandbox.put("b.lua", "-- every=1h\nreturn 1")
    assert [one.sproc for one in sandbox.advance("1h")] == ["b.lua"]


def test_a_schedule_that_fails(sandbox: Sandbox) -> None:
    sandbox.put("a.lua", "-- every=1h\nerror('no')")
    assert [(one.status, one.said) for one in sandbox.advance("2h")] == [("error", "ERR a.lua:2: no")] * 2


def test_the_clock_goes_forward_and_not_beyond_the_servers(sandbox: Sandbox) -> None:
    for wrong in ("-1h", "soon", timedelta(seconds=-1), "9999d"):
        with pytest.raises(SettingsError):
            sandbox.advance(wrong)
    assert sandbox.now == START
    with pytest.raises(SettingsError, match="needs a time zone"):
        Sandbox(now=datetime(2024, 1, 1))  # noqa: DTZ001
    with Sandbox(now=datetime.now(UTC)) as late, pytest.raises(SettingsError, match="can't go beyond the server's"):
        late.advance("1h")


# Its life


def test_nothing_is_left_and_each_is_alone() -> None:
    with Sandbox() as one, Sandbox() as other:
        one.put("a.lua", COUNTS)
        one.fire("SET", "user:1", "x")
        other.fire("SET", "user:1", "x")
        assert names(other) == []
        url, files = one.url, one.files
    with Redis.from_url(url) as client, pytest.raises(RedisConnectionError):
        client.ping()
    assert not files.parent.exists()
