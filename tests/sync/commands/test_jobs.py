"""`luasprocs jobs`, and `execute` of async sprocs: enqueued, waited for, retried, dropped."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from luasprocs import connect
from luasprocs.contract.keys import Keys
from luasprocs.errors import JobError, NoSprocError, ScriptError
from luasprocs.operations.pause import resume
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import act
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.sync.commands.shell import Shell

KEYS = Keys()
HELLO = "-- runasync=yes\nredis.call('SET', KEYS[1] or 'k', ARGV[1] or 'v')\nreturn 'hello ' .. (ARGV[1] or '')"
FAILS = "-- runasync=yes\n-- retries=1\n-- backoff=50ms\nredis.call('INCR', 'tries')\nerror('no luck')"
LUCKY = (
    "-- runasync=yes\n-- retries=2\n-- backoff=50ms\nif sproc.attempt < 3 then error('not yet') end\nreturn 'at last'"
)
DENIED = "-- runasync=yes\nio.open('/etc/passwd')"
TAIL = "-- runasync=yes\nprint('so far')\nreturn redis.call('LPUSH', KEYS[1], 'y')"
SERVER = "-- event=set\n-- key=ev:*\n-- retries=2\n-- backoff=50ms\nredis.call('INCR', 'server')\nerror('never')"


@pytest.fixture
def live(shell: Shell) -> Shell:
    shell.commit(
        hello=HELLO,
        fails=FAILS,
        lucky=LUCKY,
        tail=TAIL,
        denied=DENIED,
        large="-- runasync=yes\nreturn 1795741099004123",
        server=SERVER,
        skip="-- runasync=yes\n-- overlap=skip\nreturn 1",
    )
    shell.ok("sync")
    return shell


def test_no_jobs(shell: Shell) -> None:
    assert shell.nothing("jobs") == "no jobs\n"
    assert shell.ok("jobs", "list", "--json").out == ""
    said = shell("jobs", "retry", "1-1")
    assert (said.code, said.out) == (2, "")


def test_execute_enqueues_and_jobs_lists(live: Shell) -> None:
    said = live("execute", "hello.lua", "world", "--key", "k1")
    assert (said.code, said.err) == (0, "luasprocs: warning: no daemon is alive: start one with luasprocs daemon\n")
    job = said.out.strip()
    [row] = live.ok("jobs").rows
    assert (row[0], row[1], row[2], row[-1]) == (job, "hello.lua", "queued", "k1 world")
    [listed] = live.ok("jobs", "list", "--json", "--state", "queued").lines
    assert live.ok("jobs", "--json").lines == [listed]
    assert live("jobs", "--json", "list").code == 2
    assert "luasprocs jobs list --state" in live("jobs", "--state", "queued", "list").err
    [same] = live.ok("jobs", "--sproc", "hello.lua", "--state", "queued").rows
    assert (same[:3], same[-1]) == (row[:3], row[-1])  # between them stands how long it has waited
    assert live.nothing("jobs", "list", "--sproc", "other.lua") == "no jobs\n"
    assert (listed["id"], listed["keys"], listed["args"], listed["attempt"]) == (job, ["k1"], ["world"], 1)
    second = live("execute", "hello.lua", "--json").json["job"]
    assert [one["state"] for one in live.ok("jobs", "list", "--json").lines] == ["queued", "waiting"]
    assert ": dropped" in live.ok("jobs", "drop", second).out
    assert live("jobs", "retry", job).code == 2
    live.ok("jobs", "drop", job)
    assert live.nothing("jobs") == "no jobs\n"
    live("execute", "skip.lua")
    skipped = live("execute", "skip.lua")
    assert (skipped.code, skipped.out) == (1, "")
    assert "has overlap=skip" in skipped.err


def test_waiting_for_the_end(live: Shell, start_daemon: StartDaemon) -> None:
    start_daemon(live.server.url)
    assert live.ok("execute", "hello.lua", "you", "--wait").out == "hello you\n"
    assert (live.repo / ".luasprocs" / "files").is_dir()
    assert live.git("status", "--porcelain") == ""
    assert live.redis.get("k") == b"you"
    failed = live("execute", "fails.lua", "--wait")
    assert (failed.code, failed.out) == (1, "")
    assert "fails.lua:5: no luck" in failed.err
    dead = until(lambda: [one for one in live.ok("jobs", "list", "--json").lines if one["state"] == "dead"])
    assert live.redis.get("tries") == b"2"
    assert "no luck" in dead[0]["error"]
    live.ok("jobs", "retry", dead[0]["id"])
    until(lambda: live.redis.get("tries") == b"4")
    again = until(lambda: [one for one in live.ok("jobs", "list", "--json").lines if one["state"] == "dead"])
    assert again[0]["id"] == dead[0]["id"]
    live.ok("jobs", "drop", dead[0]["id"])
    assert live.nothing("jobs") == "no jobs\n"


def test_many_at_once(live: Shell) -> None:
    """More than the engine reads at a time."""
    redis = live.redis
    for n in range(230):
        sproc = "fails.lua" if n % 2 else "hello.lua"
        job = json.dumps({"id": f"{n}-1", "sproc": sproc, "attempt": 2, "keys": (), "args": ()})
        redis.xadd(KEYS.dead, {"job": job, "error": "no luck"})
    assert live.ok("jobs", "drop", "229-1", "0-1").out == "229-1 was dead: dropped\n0-1 was dead: dropped\n"
    retried = live.ok("jobs", "retry", "--sproc", "hello.lua").out.splitlines()
    assert retried == [f"{n}-1 was dead: queued again" for n in range(2, 230, 2)]
    states = [(one["state"], one["sproc"]) for one in live.ok("jobs", "list", "--json").lines]
    assert Counter(states) == {
        ("queued", "hello.lua"): 1,
        ("waiting", "hello.lua"): 113,
        ("dead", "fails.lua"): 114,
    }
    assert live.ok("jobs", "drop", "--all", "--state", "waiting").out.count("was waiting: dropped") == 113
    assert len(live.ok("jobs", "drop", "--all").out.splitlines()) == 114
    assert live.nothing("jobs", "drop", "--all") == "no dead jobs\n"
    assert live.nothing("jobs", "retry", "--sproc", "gone.lua") == "no dead jobs of gone.lua\n"
    for mixed in ((), ("--all", "--sproc", "a.lua"), ("1-1", "--all")):
        said = live("jobs", "drop", *mixed)
        assert (said.code, said.out) == (2, "")
        assert "name job ids" in said.err
    assert live("jobs", "drop", "1-1", "--state", "dead").code == 2
    assert live("jobs", "retry", "--all", "--state", "queued").code == 2


def test_one_that_is_in_another_state_by_now_is_left_alone(live: Shell) -> None:
    """Who drops the dead does not drop what another has just started anew."""
    live.redis.xadd(KEYS.dead, {"job": json.dumps({"id": "1-1", "sproc": "hello.lua"})})
    assert list(act(Registry(live.redis, KEYS), "retry", ["1-1"], "dead")) == [("1-1", "dead")]
    ((_, refused),) = act(Registry(live.redis, KEYS), "drop", ["1-1"], "dead")
    assert isinstance(refused, JobError)
    assert "no job '1-1' is dead" in str(refused)
    assert [one["state"] for one in live.ok("jobs", "list", "--json").lines] == ["queued"]
    assert list(act(Registry(live.redis, KEYS), "drop", ["1-1"])) == [("1-1", "queued")]


def test_of_several_ids_those_that_can_be_are_done_and_the_others_are_named(live: Shell) -> None:
    for job_id in ("1-1", "2-1"):
        live.redis.xadd(KEYS.dead, {"job": json.dumps({"id": job_id, "sproc": "hello.lua"})})
    said = live("jobs", "drop", "9-9", "2-1", "8-8", "1-1")
    assert said.code == 2
    assert said.out == "2-1 was dead: dropped\n1-1 was dead: dropped\n"
    assert "no job '9-9'" in said.err
    assert "no job '8-8'" in said.err


def test_what_somebody_wrote_by_hand_stands_in_nobodys_way(live: Shell, start_daemon: StartDaemon) -> None:
    """Numbers that JSON has and Lua's cjson can't write, nulls, halves of characters, an id within the id's job."""
    texts = (
        '{"id":"1-0","sproc":"hello.lua"}',
        '{"id":"1-1","sproc":"hello.lua","x":1e999,"attempt":1e999,"enqueued_ms":null,"depth":-1}',
        '{"args":[{"id":"zz"},null,7,true,"x"],"id":"1-2","sproc":"hello.lua","trigger":null,"keys":"k","server":1}',
        '{"id":"\\ud800","sproc":"hello.lua"}',
        b'{"id":"1-\xff","sproc":"hello.lua"}',
        '{"id":5,"sproc":"hello.lua"}',
        '{"id":"1-\\u0033","sproc":"hello.lua"}',
        '{"id":"1-4","sproc":"hello.lua","origin":"two words","depth":1e15,"args":["\\"id\\":\\"1-0\\""]}',
    )
    for text in texts:
        live.redis.xadd(KEYS.dead, {"job": text})
    assert live("jobs", "list").code == 0
    said = live.ok("jobs", "retry", "--all").out.splitlines()
    assert [line.partition(" ")[0] for line in said if line.endswith("queued again")] == [
        "1-0", "1-1", "1-2", "1-\\xff", "1-3", "1-4"
    ]  # fmt: skip
    daemon = start_daemon(live.server.url)
    until(lambda: len(live.ok("logs", "--json").lines) == 6)
    assert {one["status"] for one in live.ok("logs", "--json").lines} == {"ok"}
    assert live.nothing("jobs", "list", "--state", "running") == "no jobs\n"
    assert "Traceback" not in daemon.output


def test_a_job_that_lacks_most_of_it_runs_all_the_same(live: Shell, start_daemon: StartDaemon) -> None:
    live.redis.xadd(KEYS.dead, {"job": json.dumps({"id": "1-1"})})
    live.redis.xadd(KEYS.dead, {"job": json.dumps({"id": "2-1", "sproc": "hello.lua"})})
    live.redis.zadd(KEYS.delayed, {"5": 1 << 50, "no json": 1 << 50})
    daemon = start_daemon(live.server.url)
    assert live("jobs", "retry", "1-1").code == 2
    live.ok("jobs", "retry", "2-1")
    until(lambda: live.redis.get("k") == b"v")
    assert "failed" not in daemon.output
    assert live.redis.xlen(KEYS.dead) == 1


def test_waiting_goes_on_while_it_is_tried_again(live: Shell, start_daemon: StartDaemon) -> None:
    start_daemon(live.server.url)
    said = live("execute", "lucky.lua", "--wait")
    assert (said.code, said.out) == (0, "at last\n"), said
    assert "try 1 failed: ERR lucky.lua:4: not yet" in said.err
    assert "try 2 failed: ERR lucky.lua:4: not yet" in said.err


def test_what_a_run_printed_before_it_failed_is_in_its_record(live: Shell, start_daemon: StartDaemon) -> None:
    """The error of a tail call has no line, which Lua has forgotten, but a name."""
    start_daemon(live.server.url)
    live.redis.set("text", "x")
    failed = live("execute", "tail.lua", "--key", "text", "--wait")
    assert "WRONGTYPE tail.lua: Operation against a key" in failed.err
    [record] = live.ok("logs", "--json").lines
    assert record["reply"] == "so far\n"
    [row] = live.ok("jobs").rows
    assert "WRONGTYPE tail.lua: Operation against a key" in row[-1]


def test_what_waiting_prints(live: Shell, start_daemon: StartDaemon) -> None:
    start_daemon(live.server.url)
    assert live.ok("execute", "large.lua", "--wait").out == "1795741099004123\n"
    said = live("execute", "denied.lua", "--wait")
    assert (said.code, said.out) == (1, "")
    assert said.err.count("denied:") == 1


def test_waiting_for_a_paused_one_says_so(
    live: Shell, start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luasprocs.operations.wait.LATE_AFTER_S", 0.0)
    monkeypatch.setattr("luasprocs.operations.wait.POLL_S", 0.01)
    start_daemon(live.server.url)
    live.ok("pause", "hello.lua")

    def go_on() -> None:
        until(lambda: live.redis.llen(KEYS.waiting_prefix + "hello.lua"))
        time.sleep(0.2)
        resume(Registry(live.redis, KEYS), ["hello.lua"])

    other = threading.Thread(target=go_on)
    other.start()
    said = live("execute", "hello.lua", "--wait")
    other.join()
    assert (said.code, said.out) == (0, "hello \n"), said
    assert "the sproc is paused" in said.err


def test_server_side_retries_end_among_the_dead(live: Shell, start_daemon: StartDaemon) -> None:
    start_daemon(live.server.url)
    live.redis.set("ev:1", "x")
    dead = until(lambda: [one for one in live.ok("jobs", "list", "--json").lines if one["state"] == "dead"])
    assert (dead[0]["where"], dead[0]["keys"], dead[0]["args"]) == ("server", ["ev:1"], ["x", "set", "string"])
    assert live.redis.get("server") == b"3"
    live.ok("jobs", "retry", dead[0]["id"])
    until(lambda: live.redis.get("server") == b"6")


def test_what_is_no_job_is_passed_over(live: Shell) -> None:
    redis = live.redis
    redis.xadd(KEYS.jobs, {"job": "not json"})
    redis.xadd(KEYS.dead, {"odd": "x"})
    redis.zadd(KEYS.delayed, {"{}": 1, "[1]": 2})
    redis.hset(KEYS.running, "x", "y")
    assert live.nothing("jobs") == "no jobs\n"
    for key in (KEYS.jobs, KEYS.dead, KEYS.delayed, KEYS.running):
        redis.delete(key)
        redis.set(key, "x")
    assert live.nothing("jobs") == "no jobs\n"


def test_from_an_application(live: Shell, start_daemon: StartDaemon) -> None:
    sprocs = connect(live.server.url)
    with pytest.raises(ScriptError, match="luasprocs_enqueue"):
        sprocs.execute("hello.lua")
    with pytest.raises(NoSprocError):
        sprocs.enqueue("nobody.lua")
    with pytest.raises(ScriptError, match="is not runasync=yes"):
        sprocs.enqueue("server.lua")
    start_daemon(live.server.url)
    job = sprocs.enqueue("hello.lua", keys=["app"], args=["data"])
    assert isinstance(job, str)
    until(lambda: live.redis.get("app") == b"data")
    pipe = live.redis.pipeline()
    sprocs.on(pipe).enqueue("hello.lua", keys=["app2"], args=["more"])
    [queued] = pipe.execute()
    assert isinstance(queued, bytes)
    until(lambda: live.redis.get("app2") == b"more")
