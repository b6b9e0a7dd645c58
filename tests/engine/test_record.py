"""`record=all|errors|none`: which runs a sproc leaves in Executions, whatever ran it; its stats count all of them."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.wait import wait_for_job
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from luasprocs.state.executions import read_executions
from luasprocs.state.stats import Stats
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

FAILS = "if (ARGV[1] or '') == 'bad' then error('no') end\nreturn 'fine'\n"
RULES = ("all", "errors", "none")
KEPT = {"all": {"ok": 2, "error": 1}, "errors": {"error": 1}, "none": {}}


def header(rule, *lines):
    return "".join(f"-- {line}\n" for line in (f"record={rule}", *lines)) + FAILS


@pytest.fixture
def registry(server):
    return Registry(server.client(), Keys())


def kept(registry, name):
    return dict(Counter(one.status for one in read_executions(registry, None) if one.sproc == name))


def stats(registry, name):
    return Stats.parse(registry.client.hgetall(registry.keys.stats(name)))


def has_counted(registry, name, runs, errors):
    found = stats(registry, name)
    return found.runs >= runs and found.errors == errors


@pytest.mark.timeout(120)
def test_runs_by_events_calls_schedules_and_jobs(registry, server):
    client = registry.client
    put(
        client,
        *(sproc(f"event_{rule}.lua", header(rule, "event=set", f"key={rule}:*")) for rule in RULES),
        *(sproc(f"call_{rule}.lua", header(rule)) for rule in RULES),
        *(sproc(f"job_{rule}.lua", header(rule, "runasync=yes")) for rule in RULES),
        *(sproc(f"cron_{rule}.lua", header(rule, "every=1s")) for rule in RULES),
    )
    with DaemonProcess(server.url):
        for rule in RULES:
            for text in ("good", "bad", "better"):
                client.set(f"{rule}:{text}", text)
                run(registry, f"job_{rule}.lua", args=[text], by="ann")
        wait_for_events(registry, 30)
        for rule in RULES:
            for text in ("good", "better"):
                run(registry, f"call_{rule}.lua", args=[text], by="ann")
            with pytest.raises(Exception, match="no"):
                run(registry, f"call_{rule}.lua", args=["bad"], by="ann")
            for kind in ("event", "call", "job"):
                name = f"{kind}_{rule}.lua"
                until(partial(has_counted, registry, name, 3, 1))
                assert kept(registry, name) == KEPT[rule]
            until(partial(has_counted, registry, f"cron_{rule}.lua", 2, 0))
    assert kept(registry, "cron_all.lua")["ok"] > 1
    assert kept(registry, "cron_errors.lua") == kept(registry, "cron_none.lua") == {}


def test_what_did_not_run_is_kept_as_errors_are(registry):
    skips = "-- event=set\n-- key=x\n-- record={}\nreturn 1"
    put(registry.client, *(sproc(f"{rule}.lua", skips.format(rule)) for rule in RULES))
    registry.client.sadd(registry.keys.paused, *(f"{rule}.lua" for rule in RULES))
    registry.client.hset(registry.keys.events, mapping={"epoch": "e", "__keyspace@0__:x": "1 0 1"})
    names = ("all.lua", "errors.lua", "none.lua")
    words = (3, *names, 1, 0, 1, "-", "", "1 2 3", 1, 1, "x", "set")
    registry.call("dispatch", "__keyspace@0__:x", "e", 1, "d", 1, 1, 1, 0, 1, 1, *words)
    assert [kept(registry, name) for name in names] == [{"skipped": 1}, {"skipped": 1}, {}]
    assert [stats(registry, name).skipped for name in names] == [1, 1, 1]


def test_a_gap_is_about_no_sproc_and_always_recorded(registry):
    put(registry.client, sproc("none.lua", "-- event=set\n-- key=x\n-- record=none\nreturn 1"))
    registry.client.hset(registry.keys.events, mapping={"epoch": "e", "tick": 1})
    assert registry.call("blind", "d", 1, "why", "__keyspace@0__:x") == 1
    assert [one.status for one in read_executions(registry)] == ["gap"]


def test_a_failed_run_that_is_not_recorded_is_tried_again(registry):
    source = "-- event=set\n-- key=x\n-- record=none\n-- retries=1\n-- backoff=50ms\nerror('no')"
    put(registry.client, sproc("a.lua", source))
    registry.client.hset(registry.keys.events, mapping={"epoch": "e", "__keyspace@0__:x": "1 0 1"})
    words = (1, "a.lua", 1, 0, 1, "-", "", 1, 1, 1, "x", "set")
    registry.call("dispatch", "__keyspace@0__:x", "e", 1, "d", 1, 1, 1, 0, 1, 1, *words)
    assert registry.client.zcard(registry.keys.delayed) == 1
    assert read_executions(registry) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("rule", ["errors", "none"])
def test_the_end_of_a_job_that_is_not_recorded_is_noticed(registry, server, rule):
    again = f"-- record={rule}\n-- runasync=yes\n-- retries=1\n-- backoff=50ms\n"
    once = "if sproc.attempt == 1 then error('first') end"
    put(
        registry.client,
        sproc("fine.lua", header(rule, "runasync=yes")),
        sproc("bad.lua", again + "error('no')"),
        sproc("second.lua", again + once),
    )
    with DaemonProcess(server.url):
        found = {}
        for name in ("fine.lua", "bad.lua", "second.lua"):
            done = run(registry, name, by="ann")
            assert isinstance(done, Enqueued)
            found[name] = wait_for_job(registry, done, 60)
    assert {name: one.status for name, one in found.items()} == {
        "fine.lua": "ok", "bad.lua": "error", "second.lua": "ok",
    }  # fmt: skip
    assert "bad.lua:5: no" in found["bad.lua"].said
