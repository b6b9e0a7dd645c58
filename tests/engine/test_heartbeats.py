"""What dead daemons leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import FORGET_MS
from luasprocs.server.registry import Registry
from tests.live import put, sproc

if TYPE_CHECKING:
    from tests.servers import Server

KEYS = Keys()


def test_a_daemon_that_comes_removes_those_that_died_long_ago(server: Server) -> None:
    """Where none leaves in order they would stay for good."""
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    now_ms = client.time()[0] * 1000
    client.hset(
        KEYS.daemons, mapping={"long": f"{now_ms - FORGET_MS - 2000} 1 {{}}", "late": f"{now_ms - 60_000} 1 {{}}"}
    )
    Registry(client, KEYS).call("cover", "new", "another-epoch")
    assert client.hkeys(KEYS.daemons) == [b"late"]
