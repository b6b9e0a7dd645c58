"""Servers that refuse CONFIG: what is missing is said, and is a gap."""

from __future__ import annotations

import time

from luasprocs.contract.keys import Keys
from luasprocs.server.acl import rule
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.status import finding, status
from tests.until import until

KEYSPACE = "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"
KEYEVENT = "-- event=hset, lpush\n-- key=a:*, b:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"
MISSING = "ERROR the server doesn't publish events of class "


def without_config(server):
    """The URL of a daemon's user that lacks CONFIG."""
    words = [word for word in rule("daemon", Keys()) if not word.startswith("+config")]
    server.client().execute_command("ACL", "SETUSER", "lean", *words, ">pw")
    return f"redis://lean:pw@127.0.0.1:{server.port}/0"


def gaps(client, count=1):
    """Those recorded, once there are so many."""
    until(lambda: client.xlen(Keys().gaps) >= count)
    found = [fields for _, fields in client.xrange(Keys().gaps)]
    return [(fields[b"source"], int(fields[b"from_ms"]), int(fields[b"to_ms"])) for fields in found]


def server_ms(client):
    seconds, micros = client.time()
    return seconds * 1000 + micros // 1000


def fired(client, key):
    return until(lambda: client.hget("fired", key))


def test_flags_that_go_missing_are_said_and_are_a_gap(server):
    client = server.client()
    client.config_set("notify-keyspace-events", "K$")
    put(client, sproc("a.lua", KEYSPACE))
    with DaemonProcess(without_config(server)) as daemon:
        daemon.until("CONFIG is refused")
        client.set("ev:1", "x")
        assert fired(client, "ev:1") == b"1"
        time.sleep(3.5)
        assert MISSING not in daemon.output
        assert gaps(client, 0) == []
        client.config_set("notify-keyspace-events", "Kx")
        lost_at = server_ms(client)
        client.set("ev:lost", "x")
        daemon.until(MISSING + "$K, ")
        assert "CONFIG SET notify-keyspace-events $K" in daemon.output
        [(source, from_ms, to_ms)] = gaps(client)
        assert source == b"__keyspace@0__:ev:*"
        assert from_ms <= lost_at <= to_ms
        assert "class $K" in finding(server, "no_daemon")["message"]
        client.config_set("notify-keyspace-events", "K$")
        healed_at = server_ms(client)
        daemon.until("notifications work again")
        assert daemon.output.count(MISSING) == 1
        [(_, began_ms, to_ms)] = gaps(client)
        assert began_ms == from_ms
        assert to_ms >= healed_at, "the same gap grows"
        client.set("ev:2", "x")
        assert fired(client, "ev:2") == b"1"
        until(lambda: {one["code"] for one in status(server)[1]["findings"]} == {"gap"})
    assert not client.keys("*Canary*")


def test_nothing_is_published_from_the_start(server):
    client = server.client()
    put(client, sproc("a.lua", KEYSPACE), sproc("b.lua", KEYEVENT))
    with DaemonProcess(without_config(server)) as daemon:
        daemon.until(MISSING + "$EKhl")
        assert "CONFIG SET notify-keyspace-events $lhEK" in daemon.output
        assert {source for source, _, _ in gaps(client, 3)} == {
            b"__keyspace@0__:ev:*",
            b"__keyevent@0__:hset",
            b"__keyevent@0__:lpush",
        }


def test_a_server_whose_config_has_another_name(own_server):
    server = own_server("--rename-command", "CONFIG", "", "--notify-keyspace-events", "El")
    client = server.client()
    put(client, sproc("b.lua", KEYEVENT))
    with DaemonProcess(server.url) as daemon:
        daemon.until(MISSING + "h")
        client.lpush("a:1", "x")
        assert fired(client, "a:1") == b"1"
        assert {source for source, _, _ in gaps(client)} == {b"__keyevent@0__:hset"}


def test_every_class_but_evicted_and_modules_is_proven(server):
    client = server.client()
    events = "set, expired, lset, hset, sadd, zadd, xadd, del, new, keymiss"
    put(client, sproc("a.lua", f"-- event={events}\n-- key=a:*, b:*\nreturn 1\n"), sproc("b.lua", KEYSPACE))
    client.config_set("notify-keyspace-events", "KEg$lshzxtnm")
    with DaemonProcess(without_config(server)) as daemon:
        daemon.until("CONFIG is refused")
        time.sleep(4)
        assert MISSING not in daemon.output
        for number, letter in enumerate("g$lshzxtnm", 1):
            client.config_set("notify-keyspace-events", "KEg$lshzxtnm".replace(letter, ""))
            daemon.until(MISSING, times=number)
            assert f"{MISSING}{letter}, " in daemon.output


def test_writes_that_an_acl_refuses_prove_nothing(server):
    client = server.client()
    put(client, sproc("a.lua", "-- event=set, hset\n-- key=ev:*\nreturn 1\n"))
    url = without_config(server)
    client.execute_command("ACL", "SETUSER", "lean", "-hincrbyfloat")
    client.config_set("notify-keyspace-events", "K$h")
    with DaemonProcess(url) as daemon:
        daemon.until("CONFIG is refused")
        time.sleep(4)
        assert MISSING not in daemon.output
