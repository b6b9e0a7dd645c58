from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.server.registry import Registry
from luasprocs_tui.backend.execution_tail import ExecutionTail
from tests.tui.pilot import KEYS

if TYPE_CHECKING:
    import redis

    from tests.servers import Server


def add(client: redis.Redis, *names: str) -> None:
    """ExecutionTail by hand, one for each name."""
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.xadd(KEYS.executions, {"sproc": name, "trigger": "event", "event": "set", "key": "k", "status": "ok"})
    pipe.execute()


def test_a_read_goes_on_behind_the_last(server: Server):
    client = server.client()
    registry = Registry(server.client(), KEYS)
    records = ExecutionTail(lambda: registry, server.url)
    add(client, "a", "b")
    first = records.read()
    assert ([one.sproc for one in first.records], first.whole) == (["a", "b"], True)
    add(client, "c")
    second = records.read()
    assert ([one.sproc for one in second.records], second.whole) == (["c"], False)
    assert records.read().records == ()
