"""The rule of `acl caller`, as printed: the examples run, jobs are enqueued, and the server refuses nothing on the way."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.operations.run import Enqueued, run
from luasprocs.server.acl import rule, setuser
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import act, count_jobs, read_jobs
from tests.engine.test_examples import shown
from tests.live import make_live, put, sproc
from tests.paths import ROOT
from tests.status import finding, status
from tests.until import until

CALLS = {
    "ratelimit/sliding_window.lua": (("app:w",), (3, 60_000)),
    "ratelimit/token_bucket.lua": (("app:b",), (10, 1)),
    "lock/acquire.lua": (("app:lock", "app:fence"), ("me", 1000)),
    "lock/extend.lua": (("app:lock",), ("me", 1000)),
    "lock/release.lua": (("app:lock",), ("me",)),
    "leaderboard/submit.lua": (("app:board",), ("ann", 3)),
    "leaderboard/page.lua": (("app:board",), (0, 10)),
    "cache/get_or_lease.lua": (("app:cache",), ("me", 1000)),
}


@pytest.fixture
def as_caller(server):
    """A client of the user that the printed command makes."""

    def become(**options):
        words = shlex.split(setuser("ann", rule("caller", Keys(), **options), "secret"))
        server.client().execute_command(*words)
        server.client().execute_command("ACL", "LOG", "RESET")
        return server.client(username="ann", password="secret")

    return become


def refusals(server):
    return server.client().execute_command("ACL", "LOG")


@pytest.mark.parametrize("commands", [(), ("get", "set", "hget")])
def test_time_is_there_whatever_the_commands_are(server, as_caller, commands):
    client = as_caller(**({"own_commands": commands} if commands else {}))
    put(server.client(), sproc("now.lua", "return redis.call('TIME')[1]"))
    assert int(client.execute_command("FCALL", "luasprocs_execute", 0, "now.lua")) > 0
    assert refusals(server) == []


def test_the_examples_run(server, as_caller):
    make_live(server.client(), ROOT / "sprocs")
    client = as_caller()
    for name, (keys, args) in CALLS.items():
        try:
            client.execute_command("FCALL", "luasprocs_execute", len(keys), *keys, name, *args)
        except redis.exceptions.ResponseError as error:
            assert "ermission" not in str(error), name
    assert refusals(server) == []


def test_the_page_of_examples_is_the_same_for_it(server, as_caller):
    make_live(server.client(), ROOT / "sprocs")
    as_caller(own_keys=["[^_]*"])
    for command, pattern in shown():
        got = server.cli("--no-auth-warning", "--user", "ann", "--pass", "secret", "--no-raw", *shlex.split(command))
        assert re.fullmatch(pattern, got.strip()), f"redis-cli {command}\n{got}"
    assert refusals(server) == []


def test_it_calls_in_a_transaction_as_clients_pipelines_do(server, as_caller):
    put(server.client(), sproc("count.lua", "return redis.call('INCR', KEYS[1])"))
    with as_caller().pipeline() as pipe:
        pipe.watch("app:n")
        pipe.multi()
        pipe.execute_command("FCALL", "luasprocs_execute", 1, "app:n", "count.lua")
        pipe.get("app:n")
        assert pipe.execute() == [1, b"1"]
    assert refusals(server) == []


def test_its_sprocs_publish_where_the_rule_says_and_nowhere_else(server, as_caller):
    put(server.client(), sproc("tell.lua", "return redis.call('PUBLISH', ARGV[1], 'x')"))
    client = as_caller(own_commands=["@read", "&app:*", "&news"])
    for channel in ("app:1", "news"):
        assert client.execute_command("FCALL", "luasprocs_execute", 0, "tell.lua", channel) == 0
    for channel in ("other", Keys().ticks, Keys().generations):
        with pytest.raises(redis.exceptions.ResponseError, match=r"can't publish|access a channel"):
            client.execute_command("FCALL", "luasprocs_execute", 0, "tell.lua", channel)
    with pytest.raises(redis.exceptions.ResponseError, match=r"can't publish|access a channel"):
        as_caller().execute_command("FCALL", "luasprocs_execute", 0, "tell.lua", "app:1")


def test_the_operation_behind_execute_enqueues_in_its_name(server, as_caller):
    put(server.client(), sproc("later.lua", "-- runasync=yes\nreturn 1"))
    done = run(Registry(as_caller(), Keys()), "later.lua", by="ann")
    assert isinstance(done, Enqueued)
    assert [job.id for job in read_jobs(Registry(server.client(), Keys()))] == [done.job]


@pytest.mark.parametrize("overlap", ["allow", "queue", "skip"])
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("by", ["caller", "sproc"])
def test_it_enqueues(server, as_caller, overlap, paused, by):
    admin, client = server.client(), as_caller()
    put(
        admin,
        sproc("later.lua", f"-- runasync=yes\n-- overlap={overlap}\nreturn 1"),
        sproc("now.lua", "return sproc.enqueue('later.lua', KEYS, ARGV)"),
    )
    if paused:
        admin.sadd(Keys().paused, "later.lua")

    def enqueue():
        if by == "caller":
            return client.execute_command("FCALL", "luasprocs_enqueue", 1, "app:1", "later.lua", "ann", 1, "x")
        return client.execute_command("FCALL", "luasprocs_execute", 1, "app:1", "now.lua", "x")

    ids = [enqueue() for _ in range(3)]
    assert len({one for one in ids if one}) == 3
    assert [job.id.encode() for job in read_jobs(Registry(admin, Keys()))] == ids
    assert refusals(server) == []
    admin.execute_command("FCALL", "luasprocs_due", 0)  # as a daemon does it
    expected = 1 if overlap == "skip" else 3
    assert admin.xlen(Keys().jobs) + admin.llen(f"{Keys().waiting_prefix}later.lua") == expected
    assert not admin.exists(Keys().enqueued)


def test_it_can_t_take_jobs_nor_end_them(server, as_caller):
    put(server.client(), sproc("later.lua", "-- runasync=yes\nreturn 1"))
    client = as_caller()
    client.execute_command("FCALL", "luasprocs_enqueue", 0, "later.lua", "ann", 1)
    for command in (
        ("XREAD", "STREAMS", Keys().jobs, "0"),
        ("XADD", Keys().jobs, "MAXLEN", "0", "*", "job", "{}"),
        ("XDEL", Keys().jobs, "1-1"),
        ("XTRIM", Keys().jobs, "MAXLEN", "0"),
        ("DEL", Keys().jobs),
        ("HSET", Keys().running, "later.lua", "nobody"),
        ("HGET", Keys().running, "later.lua"),
        ("RPUSH", f"{Keys().waiting_prefix}later.lua", "{}"),
        ("LPOP", Keys().enqueued),
        ("LPUSH", Keys().enqueued, "{}"),
        ("LRANGE", Keys().enqueued, "0", "-1"),
        ("DEL", Keys().enqueued),
        ("ZADD", Keys().delayed, "0", "x"),
        ("XADD", Keys().dead, "*", "a", "b"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)


def forged(**more):
    """A job as a caller might write it by hand."""
    return json.dumps({"id": "1700000000000000-1", "sproc": "later.lua", "keys": [], "args": ["x"], **more})


JUNK = {
    "no JSON": "begin",
    "bytes": b"\xff\x00{",
    "another value": "[1]",
    "no sproc": '{"id":"1-1"}',
    "an unknown sproc": forged(sproc="none.lua"),
    "one of the server's": forged(sproc="now.lua"),
    "a library": forged(sproc="library.lua"),
    "the turn of a paused one": forged(id="paused"),
    "an id with a line": forged(id="1-1\n2"),
    "a long id": forged(id="1" * 50 + "-1"),
    "nested too deep": '{"id":"1-1","sproc":' + "[" * 5000,
}


def push(client, *texts):
    for text in texts:
        client.rpush(Keys().enqueued, text)


def test_what_a_caller_writes_by_hand_is_an_enqueued_job_or_none(server, as_caller):
    """Whatever it says of itself: trigger, attempt, depth and server are the engine's, and no turn is taken away."""
    admin, client = server.client(), as_caller()
    put(
        admin,
        sproc("later.lua", "-- runasync=yes\n-- overlap=queue\nreturn 1"),
        sproc("now.lua", "return 1"),
        sproc("library.lua", "-- library=yes\nreturn {}"),
    )
    push(client, *JUNK.values())
    reply = admin.execute_command("FCALL", "luasprocs_due", 0)
    assert reply[-1] == len(JUNK)
    assert read_jobs(Registry(admin, Keys())) == []
    assert not admin.exists(Keys().running, Keys().dead, Keys().delayed, Keys().executions)
    lies = {"trigger": "event", "attempt": 99, "depth": 7, "server": True, "origin": "a b", "enqueued_ms": 9e13}
    push(client, forged(**lies), forged(id="2-2", args=[1, None, {"a": 1}, "y"], keys="no list", sproc="later.lua"))
    admin.execute_command("FCALL", "luasprocs_due", 0)
    running, waiting = read_jobs(Registry(admin, Keys()))
    assert (running.state, running.trigger, running.attempt, running.where) == ("queued", "enqueue", 1, "async")
    assert 0 < running.enqueued_ms < 8e13
    assert (waiting.id, waiting.state, waiting.keys, waiting.args) == ("2-2", "waiting", (), ("1", "", "", "y"))
    [_, [_, job_id, name, trigger, depth, origin, attempt, *_]] = admin.execute_command(
        "FCALL", "luasprocs_take", 0, "d", 5, 0
    )
    assert (job_id, name, trigger) == (running.id.encode(), b"later.lua", b"enqueue")
    assert (depth, origin, attempt) == (b"1", b"-", b"1")


def test_a_daemon_runs_what_callers_enqueue_and_drops_the_rest_with_a_line(server, as_caller, start_daemon):
    admin, client = server.client(), as_caller()
    put(admin, sproc("later.lua", "-- runasync=yes\n-- overlap=allow\nredis.call('INCR', 'ran')"))
    for _ in range(50):
        client.execute_command("FCALL", "luasprocs_enqueue", 0, "later.lua", "ann", 1)
    daemon = start_daemon(server.url)
    push(client, *JUNK.values())
    for _ in range(50):
        push(client, forged())
        client.execute_command("FCALL", "luasprocs_enqueue", 0, "later.lua", "ann", 1)
    until(lambda: admin.get("ran") == b"150")
    until(lambda: not read_jobs(Registry(admin, Keys())))
    push(client, *JUNK.values())
    until(lambda: not admin.exists(Keys().enqueued))
    until(lambda: b'"dropped": %d' % (2 * len(JUNK)) in admin.hvals(Keys().daemons)[0])
    assert daemon.output.count("no job of an async sproc") == 1
    assert "Traceback" not in daemon.output
    assert not admin.exists(Keys().dead)


def test_an_operator_sees_and_drops_what_no_daemon_has_taken(server, as_caller):
    admin, client = server.client(), as_caller()
    put(admin, sproc("later.lua", "-- runasync=yes\nreturn 1"))
    kept, gone = (client.execute_command("FCALL", "luasprocs_enqueue", 0, "later.lua", "ann", 1).decode() for _ in "12")
    registry = Registry(admin, Keys())
    assert count_jobs(registry)["open"] == 2
    assert finding(server, "no_daemon")["message"].endswith(": async runs")
    assert status(server)[1]["jobs"]["open"] == 2
    assert list(act(registry, "drop", [gone])) == [(gone, "waiting")]
    assert [job.id for job in read_jobs(registry)] == [kept]
