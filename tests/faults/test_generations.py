"""A sync that changes triggers ten times a second, under load: each event meets exactly the triggers of one generation."""

from __future__ import annotations

import os
import signal
import time

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.live import put, sproc
from tests.soak import SOAK
from tests.until import until

KEYS = Keys()
pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(240)]


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
        until(lambda: client.eval("return #redis.call('KEYS', 'ran:*')", 0) >= writers.count)
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
    # The others' source goes and comes: a daemon that was stalled meanwhile can't know what it missed there.
    assert [gap for gap in read_running(Registry(client, KEYS), 100).gaps if gap.source == "__keyspace@0__:ev:*"] == []


def test_a_source_that_goes_and_comes_again_while_daemons_look_away(server):
    """Its watermark is gone and new: what they read before neither runs again nor keeps what comes from running."""
    client = server.client()
    one, other = sproc("counter.lua", COUNTER), sproc("other.lua", counter("n", "other:*"))
    put(client, one, other)
    first, second = (DaemonProcess(server.url).start() for _ in range(2))
    try:
        time.sleep(0.6)
        os.kill(second.pid, signal.SIGSTOP)
        for number in range(100):
            client.set(f"ev:before:{number}", "x")
        assert len(settled(client, 100)) == 100
        os.kill(first.pid, signal.SIGSTOP)
        put(client, other)
        put(client, one, other)
        os.kill(second.pid, signal.SIGCONT)
        time.sleep(1.5)
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(1)
        for number in range(50):
            client.set(f"ev:after:{number}", "x")
        ran = settled(client, 150)
    finally:
        first.kill()
        second.kill()
    assert set(ran.values()) == {1}
    assert sum(key.startswith("ev:after:") for key in ran) == 50


def test_syncs_kills_and_cuts_together(server):
    """Three daemons; each second one is killed, one loses its connections, and the triggers change."""
    client = server.client()
    sets = [(sproc("counter.lua", COUNTER), sproc(f"n{turn}.lua", counter("n", "other:*"))) for turn in range(2)]
    put(client, *sets[0])
    daemons = [DaemonProcess(server.url).start() for _ in range(3)]
    try:
        with Writers(server, 4, rate=250) as writers:
            for turn in range(20 if SOAK else 8):
                time.sleep(0.25)
                put(client, *sets[turn % 2])
                time.sleep(0.25)
                mine = [one for one in client.client_list() if "luasprocs-daemon" in str(one["name"])]
                if mine:
                    client.execute_command("CLIENT", "KILL", "ID", mine[turn % len(mine)]["id"])
                time.sleep(0.25)
                daemons[turn % 3].kill()
                daemons[turn % 3] = DaemonProcess(server.url).start()
        ran = settled(client, writers.count)
    finally:
        for daemon in daemons:
            daemon.kill()
    check(writers.ledger, ran, gaps(client))
