"""`luasprocs cron`: schedules, their countdowns, and what was missed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from sync.commands.cron_ import countdown
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.sync.commands.shell import Shell

DAILY = "-- cron=30 2 * * *\n-- timezone=Europe/Berlin\nreturn 1"
EVERY = "-- every=2s\nredis.call('INCR', 'ran')"
HOURLY = "-- every=1h\nreturn 1"
HOUR_MS = 3_600_000


def test_nothing_is_scheduled(shell: Shell) -> None:
    assert shell.nothing("cron") == "no sproc has a schedule\n"
    assert shell.ok("cron", "--json").out == ""
    shell.commit(a="return 1")
    shell.ok("sync")
    assert shell.nothing("cron") == "no sproc has a schedule\n"


def test_schedules_and_countdowns(shell: Shell, start_daemon: StartDaemon) -> None:
    off = "-- every=1s\n-- enabled=no\nreturn 1"
    shell.commit(daily=DAILY, hourly=HOURLY, often=EVERY, off=off, plain="return 1")
    shell.ok("sync")
    rows = shell.ok("cron").rows
    schedules = [
        ["daily.lua", "30 2 * * *", "Europe/Berlin"],
        ["hourly.lua", "every 1h", "-"],
        ["often.lua", "every 2s", "-"],
    ]
    assert [row[:3] for row in rows] == schedules
    assert all(row[-1] == "idle: no daemon runs it" for row in rows)
    daemon = start_daemon(shell.server.url)
    until(lambda: shell.redis.exists("ran"))
    daily, hourly, often = shell.ok("cron", "--json").lines
    assert (daily["state"], daily["last_ms"] > 0, daily["missed"]) == ("ok", True, 0)
    assert 0 < daily["left_ms"] <= 25 * HOUR_MS
    assert 0 < hourly["left_ms"] <= HOUR_MS
    assert hourly["due_ms"] % HOUR_MS == 0
    assert often["due_ms"] % 2000 == 0
    assert (often["due_ms"] - often["last_ms"]) % 2000 == 0
    assert 0 < shell.redis.pttl(Keys().cron_prefix + "hourly.lua") <= HOUR_MS
    os.kill(daemon.pid, signal.SIGSTOP)
    shell.redis.delete(Keys().daemons)
    assert {row[-1] for row in shell.ok("cron").rows} == {"idle: no daemon runs it"}
    assert shell.ok("cron").rows[0][5] == "-"  # it was only seen
    os.kill(daemon.pid, signal.SIGCONT)
    until(lambda: {one["state"] for one in shell.ok("cron", "--json").lines} == {"ok"})
    shell.ok("pause", "hourly.lua")
    paused = shell.ok("cron").rows[1]
    assert (paused[3], paused[4], paused[-1]) == ("-", "-", "paused")
    assert shell.redis.pttl(Keys().cron_prefix + "hourly.lua") == -2
    shell.ok("resume", "hourly.lua")
    assert shell.ok("cron", "--json").lines[1]["due_ms"] > 0
    shell.redis.hset(Keys().stats("daily.lua"), "last_status", "timeout")
    assert [row[-1] for row in shell.ok("cron").rows] == ["failing", "ok", "ok"]
    assert [one["failing"] for one in shell.ok("cron", "--json").lines] == [True, False, False]


def test_missed_times_are_counted(shell: Shell) -> None:
    shell.commit(every=EVERY)
    shell.ok("sync")
    shell.redis.hset(Keys().stats("every.lua"), "missed", 7)
    assert shell.ok("cron").rows[0][6] == "7"


@pytest.mark.parametrize(
    ("left_ms", "text"),
    [(0, "0s"), (1, "1s"), (59_000, "59s"), (60_000, "1m00s"), (3_599_001, "1h00m"), (90_000_000, "1d01h")],
)
def test_countdowns_are_read_at_a_glance(left_ms: int, text: str) -> None:
    assert countdown(left_ms) == text
