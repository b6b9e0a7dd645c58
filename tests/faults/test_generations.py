"""A sync that changes triggers ten times a second, under load: each event meets exactly the triggers of one generation."""

from __future__ import annotations

import time

import pytest

from tests.daemons import DaemonProcess
from tests.faults.ledger import Writers, gaps
from tests.live import put, sproc

pytestmark = pytest.mark.timeout(120)


def counter(field, glob="ev:*"):
    return f"-- event=set\n-- key={glob}\nredis.call('HINCRBY', 'ran:' .. KEYS[1], '{field}', 1)\n"


def test_each_event_meets_the_triggers_of_one_generation(server):
    client = server.client()
    odd = (sproc("a.lua", counter("a")), sproc("b.lua", counter("b")), sproc("keep.lua", counter("keep")))
    even = (sproc("a.lua", counter("A")), sproc("c.lua", counter("c")), sproc("keep.lua", counter("keep")))
    put(client, *odd)
    pair = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 4, rate=300) as writers:
            for turn in range(25):
                put(client, *(odd if turn % 2 else even))
                time.sleep(0.1)
        deadline = time.monotonic() + 15
        while client.eval("return #redis.call('KEYS', 'ran:*')", 0) < writers.count and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.3)
        ran = {entry.key: client.hgetall(f"ran:{entry.key}") for entry in writers.ledger}
    finally:
        for daemon in pair:
            daemon.kill()
    one, other = {b"a": b"1", b"b": b"1", b"keep": b"1"}, {b"A": b"1", b"c": b"1", b"keep": b"1"}
    wrong = {key: fields for key, fields in ran.items() if fields not in (one, other)}
    assert not wrong, (len(wrong), len(ran), list(wrong.items())[:5], pair[0].output[-2000:])
    assert gaps(client) == []


def test_a_trigger_that_stays_loses_nothing_while_others_cross_the_limit_of_globs(server):
    client = server.client()
    stays = sproc("stays.lua", counter("n"))
    many = [sproc(f"other{number}.lua", counter("n", f"other{number}:*")) for number in range(8)]
    put(client, stays)
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 2, rate=300) as writers:
            for turn in range(10):
                put(client, stays, *(many if turn % 2 else ()))
                time.sleep(0.15)
        time.sleep(1)
        ran = {entry.key: client.hgetall(f"ran:{entry.key}") for entry in writers.ledger}
    finally:
        daemon.kill()
    wrong = {key: fields for key, fields in ran.items() if fields != {b"n": b"1"}}
    assert not wrong, (len(wrong), len(ran), list(wrong.items())[:5])
    assert gaps(client) == []
