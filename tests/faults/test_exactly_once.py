"""Every event runs exactly once: two daemons, writers with ledgers, kills, late joiners, outages."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps, settled
from tests.live import put, sproc
from tests.soak import SOAK
from tests.status import finding
from tests.until import until

EVENTS = 100_000 if SOAK else 12_000
KILLS = 20 if SOAK else 6

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 240)]
SLOW = COUNTER + "if ARGV[1] == 'slow' then for i = 1, 20000000 do end end\n"


def test_two_daemons_one_killed_again_and_again(server):
    client = server.client()
    put(client, sproc("counter.lua", SLOW))
    pair = [DaemonProcess(server.url).start() for _ in range(2)]
    slow = []
    try:
        with Writers(server, 8, rate=800 if SOAK else 150) as writers:
            kills, before = 0, 0
            while writers.count < EVENTS or kills < KILLS:
                time.sleep(1.0 if SOAK else 0.6)
                # What was written before the newest daemon came is nobody else's when the older one dies.
                until(lambda: client.hlen("fired") >= before)  # noqa: B023  # called at once
                if kills % 3 == 2:  # in the middle of a dispatch: the server is at it for longer than this takes
                    slow.append(f"ev:slow:{kills}")
                    client.set(slow[-1], "slow")
                    time.sleep(0.05)
                pair[kills % 2].kill()
                pair[kills % 2] = DaemonProcess(server.url).start()
                before = writers.count
                kills += 1
            writers.stop()
        ran = settled(client, writers.count + len(slow))
    finally:
        for daemon in pair:
            daemon.kill()
    assert [ran.pop(key, 0) for key in slow] == [1] * len(slow)
    assert kills >= 5
    assert len(writers.ledger) >= 10_000
    check(writers.ledger, ran, [])
    assert gaps(client) == []


def test_a_newcomer_does_not_overtake_a_backlog(server):
    client = server.client()
    slow = "-- event=set\n-- key=ev:*\nfor i = 1, 60000 do end\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"
    put(client, sproc("counter.lua", slow))
    first = DaemonProcess(server.url).start()
    second = None
    try:
        with Writers(server, 4, rate=0 if SOAK else 1500) as writers:
            until(lambda: writers.count - len(fired(client)) >= 800, what="there is no backlog")
            second = DaemonProcess(server.url).start()
            lag = writers.count - len(fired(client))
            time.sleep(0.5)
        ran = settled(client, writers.count)
    finally:
        first.kill()
        if second:
            second.kill()
    assert lag > 500, "there was no backlog to overtake"
    check(writers.ledger, ran, [])
    assert gaps(client) == []


def test_both_down_is_a_gap_with_its_bounds(server):
    client = server.client()
    catching = "-- event=set\n-- key=ev:*\n-- catchup=scan\nredis.call('SET', 'seen:' .. KEYS[1], ARGV[1])\n"
    put(client, sproc("counter.lua", COUNTER), sproc("catching.lua", catching))
    daemons = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 4, rate=200) as writers:
            time.sleep(1)
            for daemon in daemons:
                daemon.kill()
            down_ms = round(time.time() * 1000)
            time.sleep(3)
            up_ms = round(time.time() * 1000)
            daemons = [DaemonProcess(server.url).start() for _ in range(2)]
            listening_ms = round(time.time() * 1000)
            time.sleep(1)
        settled(client, writers.count)
        until(lambda: not client.exists("__*_Sproc_Catchups_*__"))
        time.sleep(0.3)
        ran, holes = fired(client), gaps(client)
        told = finding(server, "gap")
        seen = {entry.key for entry in writers.ledger if client.get(f"seen:{entry.key}") == entry.key.encode()}
    finally:
        for daemon in daemons:
            daemon.kill()
    missing = check(writers.ledger, ran, holes)
    assert len(holes) == 1, holes
    start_ms, end_ms, _ = holes[0]
    assert datetime.fromisoformat(told["since"]).timestamp() * 1000 == pytest.approx(start_ms, abs=1)
    assert down_ms - 1500 <= start_ms <= down_ms
    assert up_ms <= end_ms <= listening_ms
    written = {entry.key for entry in writers.ledger if down_ms + 5 < entry.after_ms and entry.before_ms < up_ms - 5}
    assert written
    assert written <= {entry.key for entry in missing}
    assert seen == {entry.key for entry in writers.ledger}
