"""Numbers of the registry that somebody wrote by hand while a daemon runs: it goes on, and says what was missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from tests.live import put, sproc
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.servers import Server

KEYS = Keys()


@pytest.mark.parametrize(("field", "value"), [("tick", "junk"), ("tick", "9" * 30), ("at", "junk"), ("epoch", "junk")])
def test_events_go_on_whatever_stands_in_their_numbers(
    server: Server, start_daemon: StartDaemon, field: str, value: str
) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=ev:*\nredis.call('SADD', 'ran', KEYS[1])"))
    daemon = start_daemon(server.url)
    client.hset(KEYS.events, field, value)
    until(lambda: client.hget(KEYS.events, field) != value.encode())

    def runs() -> bool:
        client.set("ev:1", "x")
        return bool(client.sismember("ran", "ev:1"))

    until(runs)
    assert daemon.running
    assert "Traceback" not in daemon.output
    assert client.xlen(KEYS.gaps) == (field != "at")
