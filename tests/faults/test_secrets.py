"""The engine is loaded again with another secret, as two first syncs at once did: no daemon may number events by old ticks."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.engine import new_secret, render
from luasprocs.registry.revision import Revision
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps, settled
from tests.live import put, sproc
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server

TIMES = 20 if SOAK else 3
KEYS = Keys()
pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 if SOAK else 60)]


def load_again(client: Redis) -> None:
    owner = Revision.parse(client.hgetall(KEYS.revision)).owner
    client.function_load(render(KEYS, owner, 0, new_secret()).text, replace=True)


def others_go_on(client: Redis) -> None:
    """Another daemon, which hears all ticks, says that all up to a new one has run."""
    registry = Registry(client, KEYS)
    (daemon,) = read_running(registry).alive
    (source,) = daemon.covers
    epoch, tick = registry.call("tick", 1, 1)
    registry.call("beat", "other", epoch, "{}", source, 0, 0, tick, round(time.time() * 1000), "")


def test_a_daemon_that_knew_the_old_secret_goes_by_the_new_ticks_at_once(server: Server) -> None:
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    with DaemonProcess(server.url):
        client.set("ev:1", 1)
        until(lambda: fired(client))
        load_again(client)
        others_go_on(client)
        client.set("ev:2", 1)
        until(lambda: fired(client) == {"ev:1": 1, "ev:2": 1}, 5)
    assert gaps(client) == []


def test_what_had_wrong_numbers_is_a_gap(server: Server) -> None:
    """Somebody has just sent what is not the engine's: for some seconds the daemon doesn't ask again whose it is."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    with DaemonProcess(server.url) as daemon:
        client.set("ev:1", 1)
        until(lambda: fired(client))
        client.publish(KEYS.ticks, "nobody's")
        until(lambda: [one.ignored for one in read_running(Registry(client, KEYS)).alive] == [1])
        load_again(client)
        others_go_on(client)
        client.set("ev:2", 1)
        set_ms = round(time.time() * 1000)
        until(lambda: "numbering starts anew" in daemon.output, what=lambda: daemon.output)
        until(lambda: gaps(client))
        client.set("ev:3", 1)
        until(lambda: "ev:3" in fired(client))
        assert "ev:2" in fired(client) or any(first <= set_ms <= last for first, last, _ in gaps(client))


def test_none_is_lost_nor_runs_twice_if_the_others_are_killed(server: Server) -> None:
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemons = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 4, rate=200) as writers:
            for number in range(TIMES):
                load_again(client)
                until(partial(more_than, client, len(fired(client))))
                daemons[number % 2].kill()
                daemons[number % 2].start()
        ran = settled(client, writers.count)
    finally:
        for daemon in daemons:
            daemon.kill()
    check(writers.ledger, ran, gaps(client))


def more_than(client: Redis, count: int) -> bool:
    return len(fired(client)) > count


def test_of_two_secrets_one_after_the_other_the_first_is_not_known_and_nothing_gets_wrong_numbers(
    server: Server,
) -> None:
    """The daemon, which is stopped, hears a tick with the first one when the engine has the second one."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    with DaemonProcess(server.url) as daemon:
        until(lambda: client.set("ev:1", 1) and fired(client))
        os.kill(daemon.pid, signal.SIGSTOP)
        before_ms = round(time.time() * 1000)
        load_again(client)
        Registry(client, KEYS).call("tick", 1, 1)
        client.set("ev:2", 1)
        load_again(client)
        os.kill(daemon.pid, signal.SIGCONT)
        until(lambda: client.set("ev:3", 1) and "ev:3" in fired(client))
        until(lambda: any(last > before_ms for _, last, _ in gaps(client)))
        assert "ev:2" not in fired(client)
