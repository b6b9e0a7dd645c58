"""Listeners that change while events come: a ledger says that none was lost, and none ran twice."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER as ONE_PATTERN
from tests.faults.ledger import Writers, check, gaps, settled
from tests.live import put, sproc
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from tests.servers import Server

HANDOVERS = 30 if SOAK else 1
COUNTER = ONE_PATTERN.replace("ev:*", "ev:*,other:*")
SOURCE = "__keyevent@0__:set"
"""What a trigger with two patterns of keys is bound to, for which a server counts who subscribes."""
LEFT = "others hear events"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 120)]


def alone(server: Server) -> DaemonProcess:
    """A daemon that needs no other listener."""
    return DaemonProcess(server.url, environ={"LUASPROCS_LISTENERS": "1"})


def heard_by(server: Server, count: int) -> bool:
    return server.client().pubsub_numsub(SOURCE) == [(SOURCE.encode(), count)]


def test_the_only_listener_hands_over(server):
    """To the best of three that come at once, if that one is better than it is. All others are killed."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemons = [alone(server).start()]
    handovers = 0
    try:
        with Writers(server, 4, rate=200) as writers:
            while handovers < HANDOVERS:
                listener, *_ = daemons
                daemons += [alone(server).spawn() for _ in range(3)]
                for one in daemons[1:]:
                    one.until(" listening")
                until(partial(heard_by, server, 1))
                until(lambda: sum(LEFT in one.output for one in daemons) == 3)  # noqa: B023  # called at once
                handovers += LEFT in listener.output
                for one in daemons:
                    if LEFT in one.output:
                        one.kill()
                daemons = [one for one in daemons if one.running]
        ran = settled(client, writers.count)
    finally:
        for one in daemons:
            one.kill()
    assert gaps(client) == []
    assert check(writers.ledger, ran) == []


def test_who_stands_by_runs_jobs_and_takes_the_place_of_who_dies(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER), sproc("job.lua", "-- runasync=yes\nreturn redis.call('INCR', 'done')\n"))
    daemons = [alone(server).start() for _ in range(2)]
    try:
        until(partial(heard_by, server, 1))
        until(lambda: any(LEFT in one.output for one in daemons))
        standing_by, listener = sorted(daemons, key=lambda one: LEFT not in one.output)
        listener.kill()
        client.fcall("luasprocs_enqueue", 0, "job.lua", "-", 0)
        until(lambda: client.get("done") == b"1")
        until(lambda: "INFO hears events" in standing_by.output)
        until(partial(heard_by, server, 1))
        numbers = count()
        until(lambda: client.set(f"ev:{next(numbers)}", 1) and client.hgetall("fired"))  # numbered with the next tick
        written = next(numbers)
        until(lambda: client.hlen("fired") == written or gaps(client))
        assert {*client.hvals("fired")} == {b"1"}
    finally:
        for one in daemons:
            one.kill()
