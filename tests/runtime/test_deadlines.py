"""`expired` in time: a daemon that touches what is due.

The server looks for nothing that is due by itself here: what expires, the daemon has touched.
How late it comes, `bench/` measures.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import PATIENCE_S

FIRED = "-- event=expired\n-- key={}\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"


@pytest.fixture
def lazy(server):
    """A server where only what is touched expires."""
    client = server.client()
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    yield server
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")


def at(client, in_ms):
    seconds, micros = client.time()
    return seconds * 1000 + micros // 1000 + in_ms


def many_others(client, count=5_000):
    """More keys with a TTL than are looked through at once."""
    client.eval("for i = 1, ARGV[1] do redis.call('SET', 'other:' .. i, 'x', 'EX', 3600) end", 0, count)


def fires(client, *keys, timeout_s=PATIENCE_S):
    """Each of them once, and nothing else."""
    give_up = time.monotonic() + timeout_s
    while len(fired := client.hgetall("fired")) < len(keys) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert fired == {key.encode(): b"1" for key in keys}


@pytest.mark.parametrize("keys", ["due:*", "due:*, nothing", "*"])
def test_keys_that_were_there_before_and_keys_that_come(lazy, keys):
    client = lazy.client()
    put(client, sproc("a.lua", FIRED.format(keys)))
    many_others(client)
    client.set("due:before", "x", px=2000)
    with DaemonProcess(lazy.url):
        soon = at(client, 1000)
        client.set("due:set", "x", pxat=soon)
        client.set("due:expire", "x")
        client.pexpireat("due:expire", soon)
        client.set("tmp", "x", pxat=soon)
        client.copy("tmp", "due:copy")
        client.restore("due:restore", soon, client.dump("tmp"), absttl=True)
        client.rename("tmp", "due:rename")
        client.set("due:getex", "x")
        client.getex("due:getex", pxat=soon)
        fires(
            client, "due:before", *(f"due:{kind}" for kind in ("set", "expire", "copy", "restore", "rename", "getex"))
        )


def test_an_exact_key(lazy):
    client = lazy.client()
    many_others(client)
    put(client, sproc("a.lua", FIRED.format("due:1")), sproc("b.lua", FIRED.format("due:2")))
    client.set("due:1", "x", px=2000)
    with DaemonProcess(lazy.url):
        client.set("due:2", "x", px=100)
        fires(client, "due:1", "due:2")


def test_deadlines_that_move_and_go(lazy):
    client = lazy.client()
    put(client, sproc("a.lua", FIRED.format("due:*")))
    with DaemonProcess(lazy.url):
        client.set("due:sooner", "x", ex=1000)
        client.set("due:kept", "x", ex=1)
        client.persist("due:kept")
        client.pexpire("due:sooner", 1500)
        fires(client, "due:sooner")
        assert client.exists("due:kept")


def test_a_trigger_that_comes_later(lazy):
    client = lazy.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x\nreturn 1\n"))
    many_others(client)
    with DaemonProcess(lazy.url) as daemon:
        client.set("due:1", "x", px=3000)
        put(client, sproc("a.lua", FIRED.format("due:*")))
        daemon.until("generation 2")
        fires(client, "due:1")


def test_nothing_is_listened_to_without_such_a_trigger(server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x\nreturn 1\n"))
    with DaemonProcess(server.url):
        assert len([one for one in client.client_list() if one["name"] == "luasprocs-daemon"]) == 2
        assert "scan" not in client.info("commandstats")
    put(client, sproc("a.lua", FIRED.format("due:*")))
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


def test_a_lost_connection_is_opened_again(lazy):
    client = lazy.client()
    put(client, sproc("a.lua", FIRED.format("due:*")))
    with DaemonProcess(lazy.url) as daemon:
        time.sleep(0.3)
        own = [one for one in client.client_list() if one["name"] == "luasprocs-daemon" and int(one["psub"])]
        hearing = [one for one in own if not int(one["sub"])]
        assert len(hearing) == 1, own
        client.client_kill_filter(_id=hearing[0]["id"])
        daemon.until("deadlines are unknown")
        client.set("due:missed", "x", px=1500)
        fires(client, "due:missed")
