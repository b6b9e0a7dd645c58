"""Events that direct calls cause: whose they are, how deep, and where their chains end."""

from __future__ import annotations

import time

from tests.faults.test_contained import records, running
from tests.until import until

ECHO = "-- event=set\n-- key=ev:*\n-- value=no\nredis.call('INCR', 'n:echo') redis.call('SET', 'ev:' .. KEYS[1], 'x')\n"
SEEN = "-- event=set\n-- key=ev:*\nredis.call('RPUSH', 'seen', KEYS[1])\n"
AGAIN = "-- event=set\n-- key=ev:*\n-- reentrant=yes\nlocal n = redis.call('INCR', 'n') redis.call('SET', 'ev:' .. n, 'x')\n"


def settled(client, key, value):
    """Whether a key has a value, and still has it a while later."""
    assert until(lambda: client.get(key) == value), client.get(key)
    time.sleep(0.3)
    return client.get(key) == value


def starts(client, name):
    """Depth and origin of each of a sproc's records."""
    return [(one["depth"], one["origin"]) for one in records(client, sproc=name)]


def roots(client, name):
    """How many chains its records begin; each of them does."""
    found = starts(client, name)
    assert {depth for depth, _ in found} == {"1"}
    assert not {"-", ""} & {origin for _, origin in found}
    return len({origin for _, origin in found})


def test_a_bound_sproc_that_is_called_triggers_others_and_not_itself(server):
    with running(server, echo=ECHO, seen=SEEN) as (client, _):
        client.fcall("luasprocs_execute", 1, "a", "echo.lua")
        assert until(lambda: client.lrange("seen", 0, -1) == [b"ev:a"])
        assert settled(client, "n:echo", b"1")
        assert roots(client, "seen.lua") == 1


def test_a_bound_sproc_that_writes_through_a_library_does_not_trigger_itself(server):
    library = "-- library=yes\nreturn { write = function(key) redis.call('SET', 'ev:' .. key, 'x') end }\n"
    caller = "-- event=set\n-- key=ev:*\nredis.call('INCR', 'n:lib') require('lib.lua').write('b')\n"
    with running(server, lib=library, user=caller, seen=SEEN) as (client, _):
        client.fcall("luasprocs_execute", 0, "user.lua")
        assert until(lambda: client.lrange("seen", 0, -1) == [b"ev:b"])
        assert settled(client, "n:lib", b"1")


def test_what_a_sproc_calls_is_put_down_to_the_caller_and_ends(server):
    """The callee is triggered by what it wrote in another's call; by what it writes then it isn't."""
    caller = "return sproc.call('echo.lua', { 'c' })"
    with running(server, echo=ECHO, caller=caller) as (client, _):
        client.fcall("luasprocs_execute", 0, "caller.lua")
        assert settled(client, "n:echo", b"2")
        assert roots(client, "echo.lua") == 1


def test_a_chain_that_begins_with_a_call_ends_at_its_depth(server):
    plain = "redis.call('SET', 'ev:0', 'x')"
    with running(server, again=AGAIN, plain=plain) as (client, _):
        for name, runs in (("plain.lua", 8), ("again.lua", 9)):
            client.delete("n")
            client.fcall("luasprocs_execute", 0, name)
            assert settled(client, "n", b"%d" % runs), name
        depths = [int(one["depth"]) for one in records(client, status="ok")]
        assert depths == [*range(1, 9), *range(1, 9)]
        assert len(records(client, status="skipped")) == 2


def test_a_recorded_call_is_the_first_of_its_chain(server):
    with running(server, echo=ECHO, seen=SEEN) as (client, _):
        client.fcall("luasprocs_run", 1, "a", "echo.lua", "me@here")
        assert settled(client, "n:echo", b"1")
        assert until(lambda: starts(client, "seen.lua"))
        [(depth, origin)] = starts(client, "seen.lua")
        assert (depth, starts(client, "echo.lua")) == ("2", [("1", "me@here")])
        assert origin != "-"
