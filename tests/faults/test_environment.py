"""What other clients and the server itself do: reset flags, bursts, every way a key gets its value, blocks of commands."""

from __future__ import annotations

import time

import pytest

from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps, settled
from tests.live import put, sproc
from tests.until import until

pytestmark = pytest.mark.timeout(120)
ALL = "-- event=*\n-- key=*\nredis.call('HINCRBY', 'seen', ARGV[2] .. ' ' .. KEYS[1], 1)\n"


def test_flags_that_another_client_resets(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 2, rate=300) as writers:
            for _ in range(2):
                time.sleep(1)
                client.config_set("notify-keyspace-events", "")
            time.sleep(1.5)
        ran = settled(client, writers.count)
        flags = client.config_get("notify-keyspace-events")
    finally:
        daemon.kill()
    check(writers.ledger, ran, gaps(client))
    assert 1 <= len(gaps(client)) <= 2
    assert "K" in str(flags)
    assert "set notify-keyspace-events from ''" in daemon.output


def test_flags_that_are_reset_in_a_loop_are_one_gap_that_grows(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    with DaemonProcess(server.url) as daemon:
        with Writers(server, 2, rate=300) as writers:
            end_s = time.monotonic() + 3
            while time.monotonic() < end_s:
                client.config_set("notify-keyspace-events", "")
                time.sleep(0.02)
            time.sleep(1)
        ran = settled(client, writers.count)
    check(writers.ledger, ran, gaps(client))
    [(from_ms, to_ms, _)] = gaps(client)
    rows = [row for _, row in client.xrange("__*_Sproc_Executions_*__") if row[b"status"] == b"gap"]
    assert [row[b"origin"].decode() for row in rows] == [f"{from_ms}-{to_ms}"]
    assert daemon.output.count("set notify-keyspace-events from ''") <= 2


def test_flags_that_were_on_stay_on(server):
    client = server.client()
    client.config_set("notify-keyspace-events", "Elgx")
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    daemon.kill()
    [flags] = client.config_get("notify-keyspace-events").values()
    assert set("ElgxK$") <= set(flags if isinstance(flags, str) else flags.decode())


def test_a_burst_beyond_the_default_output_limit(own_server):
    server = own_server()  # of its own: after hundreds of tests, one script took over 60 s, once
    client = server.client(socket_timeout=60)  # the script takes a while
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        client.eval("for i = 1, 200000 do redis.call('SET', 'ev:' .. i, i) end", 0)
        ran = settled(client, 200_000)
    finally:
        daemon.kill()
    assert len(ran) == 200_000
    assert set(ran.values()) == {1}
    assert gaps(client) == []


def test_a_burst_beyond_the_output_limit_is_a_gap(own_server):
    server = own_server()  # of its own: after hundreds of tests, one script took over 60 s, once
    client = server.client(socket_timeout=60)  # the script takes a while
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    client.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
    try:
        before_ms = round(time.time() * 1000)
        client.eval("for i = 1, 100000 do redis.call('SET', 'ev:' .. i, i) end", 0)
        after_ms = round(time.time() * 1000)
        daemon.until(" listening", times=2)
        client.set("ev:last", "x")
        until(lambda: client.hexists("fired", "ev:last"))
        ran = fired(client)
    finally:
        daemon.kill()
    assert ran["ev:last"] == 1
    assert set(ran.values()) == {1}
    assert any(start <= before_ms + 5 and end >= after_ms - 5 for start, end, _ in gaps(client)), gaps(client)


def test_every_way_that_a_key_changes(server):
    client = server.client()
    put(client, sproc("all.lua", ALL))
    daemon = DaemonProcess(server.url).start()
    other = server.client(db=1)
    try:
        client.set("a", "1")
        client.rename("a", "b")
        client.copy("b", "c")
        client.move("c", 1)
        client.set(b"bin\x00\xff\r\n", b"\xfe")
        client.rpush("l", 1, 2)
        client.sadd("s", 1)
        client.zadd("z", {"m": 1})
        client.xadd("x", {"f": "v"})
        client.hset("h", "f", "v")
        with client.pipeline(transaction=True) as pipe:
            for number in range(5):
                pipe.set(f"m{number}", "x")
            pipe.execute()
        client.eval("for i = 1, 1000 do redis.call('SET', 'script:' .. i, 'x') end", 0)
        client.unlink("b")
        client.set("soon", "x", px=30)
        time.sleep(0.1)
        client.get("soon")
        time.sleep(0.5)
        wanted = [
            b"set a", b"rename_from a", b"rename_to b", b"copy_to c", b"move_from c", b"set bin\x00\xff\r\n",
            b"rpush l", b"sadd s", b"zadd z", b"xadd x", b"hset h", b"set m0", b"set m4", b"del b", b"expired soon",
            b"set script:1", b"set script:1000",
        ]  # fmt: skip
        until(lambda: client.hlen("seen") >= 1000 + len(wanted))
        seen = client.hgetall("seen")
    finally:
        daemon.kill()
        other.close()
    assert {name: seen.get(name) for name in wanted} == dict.fromkeys(wanted, b"1")
    assert sum(name.startswith(b"set script:") for name in seen) == 1000
    assert not [name for name in seen if b"Sproc" in name]
    assert not [times for times in seen.values() if times != b"1" and b"seen" not in times]


def test_swapdb_and_another_db(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    other = server.client(db=1)
    try:
        other.set("ev:elsewhere", "x")
        client.set("ev:here", "x")
        ran = settled(client, 1)
    finally:
        daemon.kill()
    assert ran == {"ev:here": 1}


def test_a_clock_that_jumps_makes_no_gap(server):
    """The times in Redis are made wrong, as a jump of its clock would leave them."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    pair = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 2, rate=300) as writers:
            for shift in (3_600_000, -3_600_000):
                time.sleep(0.5)
                now_ms = round(time.time() * 1000) + shift
                client.hset("__*_Sproc_Events_*__", "at", now_ms)
                for daemon, beat in client.hgetall("__*_Sproc_Daemons_*__").items():
                    _, rest = beat.split(b" ", 1)
                    client.hset("__*_Sproc_Daemons_*__", daemon, b"%d %s" % (now_ms, rest))
            time.sleep(0.8)
        ran = settled(client, writers.count)
    finally:
        for daemon in pair:
            daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == []


def test_idle_sources_make_no_gap_when_daemons_change_one_after_another(server):
    client = server.client()
    put(
        client,
        sproc("counter.lua", COUNTER),
        sproc("quiet.lua", "-- event=set\n-- key=quiet\nredis.call('INCR', 'quiet:n')\n"),
    )
    first = DaemonProcess(server.url).start()
    client.set("quiet", "x")
    second = DaemonProcess(server.url).start()
    try:
        time.sleep(1.2)
        assert first.stop() == 0
        time.sleep(2.5)
        client.set("quiet", "y")
        until(lambda: client.get("quiet:n") == b"2")
    finally:
        first.kill()
        second.kill()
    assert gaps(client) == []
