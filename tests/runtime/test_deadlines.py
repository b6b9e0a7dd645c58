"""`expired` in time: what is known of deadlines, and a daemon that touches what is due."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.runtime.schedule import NEVER, Schedule
from tests.daemons import DaemonProcess
from tests.live import put, sproc

LATE_MS = 1500
"""More than a loaded machine is late; far below what Redis needs among so many keys."""


def lateness(keys, name="late"):
    return f"""-- event=expired
-- key={keys}
local now, due = redis.call('TIME'), tonumber(KEYS[1]:match('%d+$'))
redis.call('HSET', '{name}', KEYS[1], string.format('%d', now[1] * 1000 + now[2] / 1000 - due))
"""


def deadline(client, in_ms):
    seconds, micros = client.time()
    return seconds * 1000 + micros // 1000 + in_ms


def many_others(client, count=50_000):
    """Keys with a TTL that Redis looks through in vain."""
    pipe = client.pipeline(transaction=False)
    for number in range(count):
        pipe.set(f"other:{number}", "x", ex=3600)
    pipe.execute()


def late(client, *keys, timeout_s=10.0):
    """How late each came, in ms."""
    give_up = time.monotonic() + timeout_s
    while not all(found := client.hmget("late", keys)) and time.monotonic() < give_up:
        time.sleep(0.02)
    return [NEVER if one is None else int(one) for one in found]


@pytest.mark.parametrize("keys", ["due:*", "due:*, nothing", "*"])
def test_keys_that_were_there_before_and_keys_that_come(server, keys):
    client = server.client()
    put(client, sproc("a.lua", lateness(keys)))
    many_others(client)
    before = f"due:before:{deadline(client, 2500)}"
    client.set(before, "x", px=2500)
    with DaemonProcess(server.url):
        at = deadline(client, 1000)
        names = {kind: f"due:{kind}:{at}" for kind in ("set", "expire", "rename", "copy", "restore", "getex")}
        client.set(names["set"], "x", pxat=at)
        client.set(names["expire"], "x")
        client.pexpireat(names["expire"], at)
        client.set("tmp", "x", pxat=at)
        client.copy("tmp", names["copy"])
        client.restore(names["restore"], at, client.dump("tmp"), absttl=True)
        client.rename("tmp", names["rename"])
        client.set(names["getex"], "x")
        client.getex(names["getex"], pxat=at)
        found = late(client, before, *names.values())
    assert max(found) < LATE_MS, dict(zip(("before", *names), found, strict=True))


def test_an_exact_key(server):
    client = server.client()
    many_others(client)
    first, second = (f"due:{deadline(client, in_ms)}" for in_ms in (2000, 2500))
    client.set(first, "x", pxat=int(first[4:]))
    put(client, sproc("a.lua", lateness(first)), sproc("b.lua", lateness(second)))
    with DaemonProcess(server.url):
        client.set(second, "x", pxat=int(second[4:]))
        assert max(late(client, first, second)) < LATE_MS


def test_deadlines_that_move_and_go(server):
    client = server.client()
    put(client, sproc("a.lua", lateness("due:*")))
    many_others(client)
    with DaemonProcess(server.url):
        sooner, kept = (f"due:{kind}:{deadline(client, in_ms)}" for kind, in_ms in (("sooner", 1000), ("kept", 500)))
        client.set(sooner, "x", ex=100)
        client.set(kept, "x", px=500)
        client.persist(kept)
        client.pexpire(sooner, 1000)
        [found] = late(client, sooner)
        assert found < LATE_MS
        assert client.exists(kept)
        assert client.hkeys("late") == [sooner.encode()]


def test_a_trigger_that_comes_later(server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x\nreturn 1\n"))
    many_others(client)
    with DaemonProcess(server.url) as daemon:
        name = f"due:{deadline(client, 3000)}"
        client.set(name, "x", px=3000)
        put(client, sproc("a.lua", lateness("due:*")))
        daemon.until("generation 2")
        assert late(client, name)[0] < LATE_MS


def test_nothing_is_listened_to_without_such_a_trigger(server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x\nreturn 1\n"))
    with DaemonProcess(server.url):
        assert len([one for one in client.client_list() if one["name"] == "luasprocs-daemon"]) == 2
        assert "scan" not in client.info("commandstats")
    put(client, sproc("a.lua", lateness("due:*")))
    with DaemonProcess(server.url):
        time.sleep(0.3)
        assert len([one for one in client.client_list() if one["name"] == "luasprocs-daemon"]) == 3


@pytest.mark.parametrize("event", ["set", "expired"])
def test_a_daemon_at_rest_takes_no_cpu(server, event):
    put(server.client(), sproc("a.lua", f"-- event={event}\n-- key=x*\nreturn 1\n"))
    with DaemonProcess(server.url) as daemon:
        time.sleep(0.5)
        before = cpu_s(daemon.pid)
        time.sleep(1)
        assert cpu_s(daemon.pid) - before < 0.2


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_lost_connection_is_opened_again(server):
    client = server.client()
    put(client, sproc("a.lua", lateness("due:*")))
    many_others(client)
    with DaemonProcess(server.url) as daemon:
        time.sleep(0.3)
        own = [one for one in client.client_list() if one["name"] == "luasprocs-daemon" and int(one["psub"])]
        hearing = [one for one in own if not int(one["sub"])]
        assert len(hearing) == 1, own
        client.client_kill_filter(_id=hearing[0]["id"])
        daemon.until("deadlines are unknown")
        missed = f"due:{deadline(client, 4000)}"
        client.set(missed, "x", px=4000)
        assert late(client, missed)[0] < LATE_MS


def test_due_keys_are_taken_in_order():
    schedule = Schedule()
    for key, at in ((b"c", 30), (b"a", 10), (b"b", 20)):
        schedule.learn(key, at)
    assert schedule.next == 10
    assert schedule.due(10, 9) == []
    assert schedule.due(11, 9) == [b"a"]
    assert schedule.due(99, 1) == [b"b"]
    assert schedule.due(99, 9) == [b"c"]
    assert schedule.next == NEVER


def test_the_last_word_counts():
    schedule = Schedule()
    schedule.learn(b"a", 10)
    schedule.learn(b"a", 50)
    schedule.learn(b"b", 10)
    schedule.learn(b"b", -1)
    schedule.learn(b"c", 50)
    schedule.learn(b"c", 10)
    assert schedule.due(20, 9) == [b"c"]
    assert len(schedule) == 1
    assert schedule.due(99, 9) == [b"a"]


def test_of_too_many_the_nearest_are_kept():
    schedule = Schedule(limit=100)
    order = list(range(1000))
    random.Random(1).shuffle(order)
    for at in order:
        schedule.learn(b"%d" % at, at)
        assert len(schedule) <= 100
    assert schedule.horizon < 100
    taken = schedule.due(10_000, 1000)
    assert taken == [b"%d" % at for at in range(len(taken))]
    assert len(taken) >= 50


def test_one_key_whose_deadline_moves_takes_no_more_room():
    schedule = Schedule(limit=100)
    for at in range(10_000):
        schedule.learn(b"a", at)
    assert len(schedule._heap) <= 101
    assert schedule.horizon == NEVER
    assert schedule.due(NEVER, 9) == [b"a"]


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(-2, 20)), max_size=60), st.integers(0, 25)
)
def test_it_is_as_a_dictionary_would_be(learnt, now):
    schedule, plain = Schedule(), {}
    for key, at in learnt:
        schedule.learn(key, at)
        plain[key] = at
    due = [key for key, at in plain.items() if 0 <= at < now]
    found = schedule.due(now, 100)
    assert sorted(found) == sorted(due)
    assert [plain[key] for key in found] == sorted(plain[key] for key in due)
