"""Says in the registry that git can't be read, while nobody looks at it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.contract.codes import DesiredState
from luasprocs.contract.encoding import time_ms
from luasprocs.server.fleet import open_registry
from luasprocs.state.desired import SyncState, publish, read_sync_state
from luasprocs.state.executions import time_text

if TYPE_CHECKING:
    from luasprocs.contract.keys import Keys


def hanging(since_s: float) -> str:
    """That git hangs; unix seconds."""
    return f"git has not answered since {time_text(round(since_s * 1000))}: does it hang, its disk, or a program that it runs?"


def say_degraded(url: str, keys: Keys, why: str, daemon: str) -> bool:
    """Publishes that git can't be read, unless another daemon follows it. Returns whether it could."""
    registry = None
    try:
        registry = open_registry(url, keys.namespace)
        last = read_sync_state(registry)
        if last.daemon != daemon and last.followed_until_ms > time_ms(registry.home.client.time()):
            return False
        seen = SyncState(
            last.source, last.commit, last.branch, last.subject, last.author, followed_until_ms=last.followed_until_ms
        )
        said = seen._replace(state=DesiredState.DEGRADED, reason=why, at=time.time(), daemon=daemon)
        publish(registry, said.after(last))
    except RedisError:
        return False
    finally:
        for one in {*registry.shards, registry.home} if registry else ():
            one.client.close()
    return True
