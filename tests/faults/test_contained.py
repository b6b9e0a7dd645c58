"""Sprocs that do what they should not: each is contained or recorded, and the others keep their pace."""

from __future__ import annotations

import contextlib
import time
from functools import partial

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.registry.live import engine_of, read_live
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, settled
from tests.live import put, sproc
from tests.until import until

pytestmark = pytest.mark.timeout(120)
GOOD = "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"


@contextlib.contextmanager
def running(server, **sources):
    client = server.client(socket_timeout=60)  # 100 MB take a while where four tests run at once
    put(client, *(sproc(f"{name}.lua", source) for name, source in sources.items()))
    daemon = DaemonProcess(server.url).start()
    try:
        yield client, daemon
    finally:
        daemon.kill()


def records(client, **wanted):
    entries = [fields for _, fields in client.xrange("__*_Sproc_Executions_*__")]
    texts = [{key.decode(): value.decode("utf-8", "replace") for key, value in fields.items()} for fields in entries]
    return [one for one in texts if all(one[key] == value for key, value in wanted.items())]


def good_ran(client, count=20):
    for number in range(count):
        client.set(f"ev:after:{number}", "x")
    return until(lambda: all(client.hget("fired", f"ev:after:{number}") == b"1" for number in range(count)))


def test_a_sproc_is_not_triggered_by_itself(server):
    own = "-- event=set\n-- key=ev:*\nredis.call('INCR', 'own') redis.call('SET', 'ev:mine', 'x')\n"
    with running(server, own=own, good=GOOD) as (client, _):
        client.set("ev:1", "x")
        assert until(lambda: client.hget("fired", "ev:mine") == b"1")
        time.sleep(0.3)
        assert client.get("own") == b"1"
        assert client.hget("fired", "ev:1") == b"1"
        assert good_ran(client)


def test_a_reentrant_chain_ends_at_its_depth_with_a_record(server):
    again = "-- event=set\n-- key=ev:*\n-- reentrant=yes\nlocal n = redis.call('INCR', 'n') redis.call('SET', 'ev:' .. n, 'x')\n"
    with running(server, again=again) as (client, _):
        client.set("ev:start", "x")
        assert until(lambda: records(client, status="skipped"))
        time.sleep(0.3)
        assert client.get("n") == b"8"
        [skipped] = records(client, status="skipped")
        assert "depth 8" in skipped["error"]
        depths = [one["depth"] for one in records(client, status="ok")]
        assert depths == list("12345678")
        origins = {one["origin"] for one in records(client, status="ok") if one["depth"] != "1"}
        assert len(origins) == 1


def test_two_that_trigger_each_other_end(server):
    ping = "-- event=set\n-- key=ping\nredis.call('INCR', 'n') redis.call('SET', 'pong', ARGV[1])\n"
    pong = "-- event=set\n-- key=pong\nredis.call('INCR', 'n') redis.call('SET', 'ping', ARGV[1])\n"
    with running(server, ping=ping, pong=pong, good=GOOD) as (client, _):
        client.set("ping", "x")
        assert until(lambda: records(client, status="skipped"))
        time.sleep(0.2)
        assert client.get("n") == b"8"
        assert good_ran(client)


def test_fan_out_ends_at_its_budget(server):
    fan = (
        "-- event=set\n-- key=ev:*\n-- reentrant=yes\n"
        "for i = 1, 10 do redis.call('SET', 'ev:' .. redis.call('INCR', 'n'), 'x') end\n"
    )
    with running(server, fan=fan) as (client, _):
        client.set("ev:start", "x")
        assert until(lambda: any("limit of 1000 runs" in one["error"] for one in records(client, status="skipped")))
        time.sleep(1)
        runs = int(client.hget("__*_Sproc_Stats_fan.lua", "runs"))
        assert 500 < runs <= 1001
        before = client.get("n")
        time.sleep(0.5)
        assert client.get("n") == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("error('boom')", "bad.lua:3: boom"),
        ("error({})", "ERR unknown error"),
        ("error(setmetatable({}, {__tostring = function() error('again') end}))", "ERR unknown error"),
        ("error(function() end)", "ERR function: "),
        ("redis.call('LPUSH', KEYS[1], 'x')", "wrong kind of value"),
        ("return redis.error_reply('MINE of my own')", "MINE of my own"),
        ("local x = nil; return x.y", "bad.lua:3:"),
    ],
)
def test_errors_are_recorded(server, body, words):
    with running(server, bad=f"-- event=set\n-- key=ev:*\n{body}\n", good=GOOD) as (client, _):
        client.set("ev:1", "x")
        [failed] = until(lambda: records(client, sproc="bad.lua", status="error"))
        assert words in failed["error"]
        assert client.hget("__*_Sproc_Stats_bad.lua", "errors") == b"1"
        assert until(lambda: client.hget("fired", "ev:1") == b"1")
        assert good_ran(client)


@pytest.mark.parametrize(
    "body",
    [
        "return string.rep('x', 100 * 1024 * 1024)",
        "local t = {} for i = 1, 200000 do t[i] = 'xxxxxxxxxxxxxxxxxxxx' end return t",
        "local t = {} t.t = t return t",
        "return setmetatable({}, {__index = function() error('no') end, __pairs = 1})",
        "return setmetatable({}, {__tostring = function() error('no') end})",
    ],
)
def test_large_and_strange_replies(server, body):
    with running(server, large=f"-- event=set\n-- key=ev:*\n{body}\n", good=GOOD) as (client, _):
        client.set("ev:1", "x")
        [record] = until(lambda: records(client, sproc="large.lua"))
        assert record["status"] == "ok"
        assert len(record["reply"]) < 3000
        assert good_ran(client, 2)


@pytest.mark.parametrize(
    "body",
    [
        "redis.call('SELECT', 5) redis.call('SET', 'there', 'x')",
        "local c = 'SEL' .. 'ECT' redis.call(c, 5)",
        "local r = redis r['ca' .. 'll']('SEL' .. 'ECT', '5')",
        "redis.setresp(3)",
        "redis.set_repl(redis.REPL_NONE)",
        "local f = redis.setresp f(3) redis.call('SELECT', '3') error('and fails')",
    ],
)
def test_what_a_sproc_changes_is_put_back(server, body):
    probe = GOOD + "redis.call('SET', 'type', type(redis.call('HGETALL', 'fired').map))\n"
    with running(server, abad=f"-- event=set\n-- key=ev:*\n{body}\n", probe=probe) as (client, _):
        assert good_ran(client)
        assert client.get("type") == b"nil"
        other = server.client(db=5)
        assert not [key for key in other.scan_iter() if b"Sproc" in key]
        assert len(records(client, sproc="abad.lua")) == 20


def stopped(client, name, times):
    return len(records(client, sproc=name, status="timeout")) == times


def test_a_run_that_never_ends_is_stopped_recorded_and_paused(server):
    server.client().config_set("busy-reply-threshold", "100")
    forever = "-- event=set\n-- key=ev:*\n-- timeout=200ms\nif KEYS[1]:find('forever') then while true do end end\n"
    with running(server, forever=forever, good=GOOD) as (client, daemon):
        for number in range(3):
            client.set(f"ev:forever:{number}", "x")
            until(partial(stopped, client, "forever.lua", number + 1), what=partial(getattr, daemon, "output"))
        assert until(lambda: client.sismember("__*_Sproc_Paused_*__", "forever.lua")), daemon.output
        client.set("ev:forever:4", "x")
        assert until(lambda: records(client, sproc="forever.lua", status="skipped"))
        assert "luasprocs resume" in records(client, sproc="forever.lua", status="skipped")[0]["error"]
        assert all(client.hget("fired", f"ev:forever:{number}") == b"1" for number in range(3))
        assert good_ran(client)


def test_a_run_that_never_ends_after_a_write_is_said(own_server):
    server = own_server("--busy-reply-threshold", "100")
    forever = "-- event=set\n-- key=ev:*\n-- timeout=200ms\nredis.call('SET', 'wrote', 1) while true do end\n"
    with running(server, forever=forever) as (client, daemon):
        client.set("ev:1", "x")
        daemon.until("can't be stopped")
        daemon.kill()
        server.kill()


def test_a_direct_call_has_the_time_that_its_header_gives(server):
    server.client().config_set("busy-reply-threshold", "100")
    loop = "for i = 1, 300000000 do end return 'done'\n"
    with running(server, long="-- timeout=60s\n" + loop, good=GOOD) as (client, daemon):
        assert client.fcall("luasprocs_execute", 0, "long.lua") == b"done"
        assert "was stopped" not in daemon.output


def test_an_event_whose_dispatch_fails_twice_is_recorded_as_poison_and_the_others_run(server):
    """By an engine that breaks on one key, as a bug of ours or of the server's would."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    live = read_live(Registry(client, Keys()))
    text = engine_of(live, Keys(), live.revision.owner).text
    start = "function serve.dispatch(_, args)\n"
    broken = (
        "  local spared = false\n  for _, word in ipairs(args) do if word == 'poison' then spared = true end end\n"
        "  for _, word in ipairs(args) do if word == 'ev:bad' and not spared then error('a bug') end end\n"
    )
    assert text.count(start) == 1
    with DaemonProcess(server.url) as daemon:
        client.execute_command("FUNCTION", "LOAD", "REPLACE", text.replace(start, start + broken))
        pipe = client.pipeline(transaction=False)
        for key in ("ev:1", "ev:2", "ev:bad", "ev:3", "ev:4"):
            pipe.set(key, "x")
        pipe.execute()
        client.set("ev:5", "x")
        ran = settled(client, 5)
        output = daemon.output
    assert ran == {f"ev:{number}": 1 for number in range(1, 6)}
    [record] = [one for one in read_executions(Registry(client, Keys()), None) if one.status == "error"]
    assert (record.sproc, record.key, record.event) == ("counter.lua", "ev:bad", "set")
    assert record.error == "poison: two dispatches of this event failed"
    assert "a dispatch of" in output
