"""The rule of `acl caller`, as printed: the examples run, jobs are enqueued, and the server refuses nothing on the way."""

from __future__ import annotations

import shlex

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.server.acl import rule, setuser
from tests.live import make_live, put, sproc
from tests.paths import ROOT

CALLS = {
    "ratelimit/sliding_window.lua": (("app:w",), (3, 60_000)),
    "ratelimit/token_bucket.lua": (("app:b",), (10, 1)),
    "lock/acquire.lua": (("app:lock",), ("me", 1000)),
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
    assert ids[0]
    expected = 1 if overlap == "skip" and not paused else 3
    assert len({one for one in ids if one}) == expected
    assert admin.xlen(Keys().jobs) + admin.llen(f"{Keys().waiting_prefix}later.lua") == expected
    if overlap != "skip":  # what is left out is recorded only by those who may write records
        assert refusals(server) == []


def test_it_can_t_take_jobs_nor_end_them(server, as_caller):
    put(server.client(), sproc("later.lua", "-- runasync=yes\nreturn 1"))
    client = as_caller()
    client.execute_command("FCALL", "luasprocs_enqueue", 0, "later.lua", "ann", 1)
    for command in (
        ("XREAD", "STREAMS", Keys().jobs, "0"),
        ("XDEL", Keys().jobs, "1-1"),
        ("XTRIM", Keys().jobs, "MAXLEN", "0"),
        ("DEL", Keys().jobs),
        ("HDEL", Keys().running, "later.lua"),
        ("LPOP", f"{Keys().waiting_prefix}later.lua"),
        ("ZADD", Keys().delayed, "0", "x"),
        ("XADD", Keys().dead, "*", "a", "b"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
