"""Each tick of a schedule runs exactly once: daemons killed, all away, with wrong clocks; sprocs that misbehave."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.pause import pause, resume
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.paths import ROOT
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from redis import Redis

SECONDS = 60 if SOAK else 5
SCHEDULES = 200
KEYS = Keys()
COUNT = "redis.call('HINCRBY', 'ran:' .. sproc.name, ARGV[1], 1)\n"
EVERY = "-- every=1s\n" + COUNT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300 if SOAK else 120)]


def ran(client: Redis, name: str) -> dict[int, int]:
    """Scheduled time (unix seconds) to how often it ran."""
    found: Any = client.hgetall(f"ran:{name}")
    return {int(at): int(count) for at, count in found.items()}


def missed(client: Redis, *names: str) -> dict[str, dict[int, int]]:
    """Of each, the first missed time to the last, as recorded."""
    found: dict[str, dict[int, int]] = {name: {} for name in names}
    for one in read_executions(Registry(client, KEYS), 10_000):
        if one.status == "missed" and one.sproc in found:
            first, _, last = one.origin.partition("-")
            found[one.sproc][int(first)] = int(last)
            count = int(last) - int(first) + 1
            begin, end = (f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%SZ}" for at in (first, last))
            said = f"{count} times, {begin} to {end}: nothing ran them" if count > 1 else f"{begin}: nothing ran it"
            assert one.error == said
    return found


def reaches(client: Redis, name: str, at: int) -> None:
    """Waits until a run was scheduled then or later."""
    until(lambda: max(ran(client, name), default=0) >= at)


def check(client: Redis, *names: str) -> list[int]:
    """Every second between the first and the last run ran once, or is recorded as missed. How many of each were missed."""
    counts = []
    for name, recorded in missed(client, *names).items():
        runs = ran(client, name)
        assert runs, name
        assert set(runs.values()) == {1}, (name, runs)
        holes = set(range(min(runs), max(runs) + 1)) - runs.keys()
        told = {at for first, last in recorded.items() for at in range(first, last + 1)}
        assert holes == told & set(range(min(runs), max(runs) + 1)), (name, sorted(holes), sorted(told))
        counts.append(len(holes))
    return counts


def test_three_daemons_and_kills(server):
    client = server.client()
    names = [f"s{number}.lua" for number in range(SCHEDULES)]
    put(client, *(sproc(name, EVERY) for name in names))
    daemons = [DaemonProcess(server.url).start() for _ in range(3)]
    try:
        until(lambda: ran(client, names[-1]))
        end, turn = time.monotonic() + SECONDS, 0
        while time.monotonic() < end or turn < 4:
            time.sleep(0.7)
            daemons[turn % 3].kill()
            daemons[turn % 3].start()
            turn += 1
        away = time.monotonic()
        for daemon in daemons:
            daemon.kill()
        time.sleep(3.2)
        last = max(ran(client, names[-1]))
        daemons[0].start()
        away_s = time.monotonic() - away
        for name in names:
            reaches(client, name, last + 5)
        until(lambda: not client.exists(KEYS.unrecorded))
    finally:
        for daemon in daemons:
            daemon.kill()
    assert turn >= 4
    holes = check(client, *names)
    assert min(holes) >= 2, "all were away for three seconds"
    assert max(holes) <= away_s + 2


def test_a_daemon_with_a_wrong_clock_neither_kills_a_schedule_nor_runs_it_twice(server, tmp_path):
    client = server.client()
    put(client, sproc("a.lua", EVERY), sproc("all.lua", "-- misfire=all\n" + EVERY))
    right = tmp_path / "right"
    command = [sys.executable, "-m", "tests.faults.wrong_clock", "--redis", server.url, "daemon", "--no-sync"]
    for wrong_ms in (3_600_000, -3_600_000):
        right.unlink(missing_ok=True)
        wrong = DaemonProcess(server.url, environ={"WRONG_MS": str(wrong_ms), "WRONG_UNTIL": str(right)})
        wrong._command = command  # the same in another process
        with wrong, DaemonProcess(server.url):
            before = max(ran(client, "a.lua"), default=0)
            reaches(client, "a.lua", before + 3)
            right.touch()
        with wrong:  # alone, and set right
            before = max(ran(client, "a.lua"))
            reaches(client, "a.lua", before + 2)
    for name in ("a.lua", "all.lua"):
        check(client, name)
        now = client.time()[0]
        assert max(ran(client, name)) <= now
        assert now - max(ran(client, name)) < 600


def test_a_time_too_far_ahead_is_refused(server):
    client = server.client()
    put(client, sproc("a.lua", EVERY))
    generation = client.hget(KEYS.revision, "generation")

    def cron(mode: str, *words: Any) -> Any:
        return client.execute_command("FCALL", KEYS.function("cron"), 0, mode, "d", generation, *words)

    _, now_ms, held = cron("start", "a.lua", "every 1000ms")
    ahead = now_ms // 1000 * 1000 + 3_600_000
    assert cron("run", 0, "a.lua", held, ahead, "", "", "")[2] == b"early"
    assert client.hget(KEYS.scheduled, "a.lua") == held
    at = now_ms // 1000 * 1000 + 1000
    assert isinstance(cron("run", 0, "a.lua", held, at, at + 1000, "", "")[2], int)
    assert cron("run", 0, "a.lua", held, at, at + 1000, "", "")[2] == b"held %d every 1000ms" % at
    assert cron("run", 0, "a.lua", b"0 every 1000ms", at + 5000, "", "", "")[2].startswith(b"held ")
    assert ran(client, "a.lua") == {at // 1000: 1}
    assert client.execute_command("FCALL", KEYS.function("cron"), 0, "run", "d", "99", 0)[0] == b"stale"


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_what_was_missed_while_nobody_was_there(server, misfire):
    client = server.client()
    put(client, sproc("a.lua", f"-- misfire={misfire}\n" + EVERY))
    daemon = DaemonProcess(server.url)
    with daemon:
        until(lambda: ran(client, "a.lua"))
    last = max(ran(client, "a.lua"))
    time.sleep(max(0.0, last + 5.3 - time.time()))
    up = int(time.time())
    with daemon:
        until(lambda: max(ran(client, "a.lua")) > up + 2)
    found = {at for at in ran(client, "a.lua") if at > last}
    if misfire == "all":
        assert set(range(last + 1, up + 1)) <= found
    else:
        assert min(found) >= up  # the newest at most, when the daemon gets to it
    check(client, "a.lua")


def test_pause_takes_the_countdown_away_and_nothing_is_missed(server):
    client = server.client()
    put(client, sproc("a.lua", EVERY))
    countdown = KEYS.cron_prefix + "a.lua"
    with DaemonProcess(server.url):
        until(lambda: ran(client, "a.lua"))
        until(lambda: 0 < client.pttl(countdown) <= 1000)
        pause(Registry(client, KEYS), ["a.lua"], by="ann")
        assert not client.exists(countdown)
        before = ran(client, "a.lua")
        time.sleep(2.2)
        assert ran(client, "a.lua") == before
        assert not client.exists(countdown)
        resume(Registry(client, KEYS), ["a.lua"])
        until(lambda: len(ran(client, "a.lua")) > len(before))
        until(lambda: client.exists(countdown))
        put(client, sproc("a.lua", "return 1"))
        assert not client.exists(countdown)
        assert not client.hexists(KEYS.scheduled, "a.lua")
        put(client, sproc("a.lua", EVERY))
        seen = len(ran(client, "a.lua"))
        until(lambda: len(ran(client, "a.lua")) > seen)
    assert missed(client, "a.lua") == {"a.lua": {}}
    assert set(ran(client, "a.lua").values()) == {1}


def test_sprocs_that_misbehave_keep_nobody_else_from_running(own_server):
    own = own_server("--busy-reply-threshold", "200")
    client = own.client()
    bad = {
        "error.lua": "error('no')",
        "odd.lua": "error(setmetatable({}, {__tostring = function() error('x') end}))",
        "big.lua": "return string.rep('x', 16 * 1024 * 1024)",
        "select.lua": "redis.call('SELECT', 3) redis.call('SET', 'elsewhere', 1)",
        "resp.lua": "redis.setresp(3) return redis.call('HGETALL', 'nothing')",
    }
    sprocs = [sproc(name, f"-- every=1s\n{source}\n") for name, source in bad.items()]
    endless = sproc("endless.lua", "-- every=2s\n-- timeout=300ms\nwhile true do end\n")
    put(client, *sprocs, endless, sproc("good.lua", EVERY))
    with DaemonProcess(own.url) as daemon:
        try:
            until(lambda: client.sismember(KEYS.paused, "endless.lua"))
        except AssertionError:
            raise AssertionError(daemon.output) from None
        before = len(ran(client, "good.lua"))
        until(lambda: len(ran(client, "good.lua")) > before + 2)
    assert set(ran(client, "good.lua").values()) == {1}
    records = read_executions(Registry(client, KEYS), 10_000)
    told = {(one.sproc, one.status) for one in records}
    assert {("error.lua", "error"), ("odd.lua", "error"), ("big.lua", "ok"), ("resp.lua", "ok")} <= told
    # One more may have begun before the pause.
    assert sum(one.sproc == "endless.lua" and one.status == "timeout" for one in records) in {3, 4}
    assert all(len(one.reply) < 2000 for one in records)


def test_the_first_systems_cron_sproc_ticks_twice_unmodified(server):
    client = server.client()
    source = (ROOT / "sprocs" / "sc3.lua").read_bytes()
    put(client, sproc("sc3.lua", source))
    countdown = KEYS.cron_prefix + "sc3.lua"
    with DaemonProcess(server.url):
        first = until(lambda: max(client.pttl(countdown), 0))
        assert first <= 15_000
        until(lambda: client.pttl(countdown) < first or client.llen("ttlLst"))
        until(lambda: client.llen("ttlLst") >= 2)
    assert client.llen("ttlLst") == 2


def test_syncs_while_schedules_run(server):
    client = server.client()
    names = [f"s{number}.lua" for number in range(40)]
    put(client, *(sproc(name, EVERY) for name in names))
    with DaemonProcess(server.url):
        for turn in range(30):
            put(client, *(sproc(name, f"{EVERY}-- {turn}\n") for name in names))
            time.sleep(0.1)
        last = client.time()[0]
        for name in names:
            reaches(client, name, last + 2)
    check(client, *names)
