"""Messages that anybody who may publish sends to a daemon's channels: it stays connected, and no event is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.contract.keys import Keys
from tests.fuzz.mutated import mutated
from tests.live import put, sproc
from tests.soak import SOAK, examples
from tests.until import until

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.servers import Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
KEYS = Keys()
SHOP = Keys("shop")
CHANNELS = [
    *(KEYS.markers, KEYS.ticks, KEYS.generations, KEYS.wakes, SHOP.markers, f"[a b]:{KEYS.markers}"),
    *("__keyspace@0__:ev:1", "__keyevent@0__:set", "__keyspace@1__:ev:1"),
]
SECRET = b"0123456789abcdef0123456789abcdef"
MESSAGES = mutated(
    [
        SECRET + b" begin 1 1 - a.lua",
        SECRET + b" end",
        SECRET + b" e5f6 12 1700000000000 " + b"r" * 40 + b" 0",
        SECRET + b" 7",
        *(
            b"begin 8 1000 x:1 a.lua",
            b"end",
            b"e5f6 12 1700000000000 r 1",
            b"7",
            b"schedules",
            b"delayed",
            b"paused",
            b"1-1",
            b"set",
        ),
    ]
)
SENT = st.lists(MESSAGES, min_size=25, max_size=60)


def test_any_message(server: Server, start_daemon: StartDaemon) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'ran', KEYS[1], 1)"))
    daemon = start_daemon(server.url)
    number = 0

    @examples(10)
    @given(sent=SENT)
    def each(sent):
        nonlocal number
        pipe = client.pipeline(transaction=False)
        for message in sent:
            number += 1
            for channel in CHANNELS:
                pipe.publish(channel, message)
            pipe.set(f"ev:own:{number}", "x")
        pipe.execute()
        until(lambda: client.hlen("ran") >= number)
        assert "Traceback" not in daemon.output
        assert "connecting again" not in daemon.output

    each()
    assert number * len(CHANNELS) >= (20_000 if SOAK else 2000)
    found: Any = client.hgetall("ran")
    assert {key: count for key, count in found.items() if key.startswith(b"ev:own:") and count != b"1"} == {}
    assert client.xlen(KEYS.gaps) == 0
