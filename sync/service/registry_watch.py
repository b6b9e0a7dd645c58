"""Watches a registry's keys for changes by anybody, and for requests to daemons.

It uses client-side caching (CLIENT TRACKING in broadcast mode by prefix). Unlike keyspace notifications, that needs no
setting of the server and no pattern that each write is matched against. One connection tracks, the other one is notified.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.pace import rest_s
from luasprocs.runtime.wire import Wire, connect, packed
from luasprocs.server.errors import connection_closed, reply_timeout
from luasprocs.server.guide_errors import GuideError
from luasprocs.server.located import guides_of, located

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.contract.keys import Keys

PING_EVERY_S = 1.0
ANSWER_WITHIN_S = 2.0
_CHANNEL = b"__redis__:invalidate"


class _Told(Wire):
    """The connection that is notified. `on_keys` gets changed keys, or None for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.on_keys: Callable[[list[bytes] | None], None] = lambda _: None
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Subscribes: from now on there are messages instead of replies."""
        self.receive = self._notice
        self.send(packed(b"SUBSCRIBE", _CHANNEL))

    def _notice(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.close(exceptions.ResponseError(str(message)))
        elif message[0] == b"subscribe" and not self.subscribed.done():
            self.subscribed.set_result(None)
        elif message[0] == b"message":
            self.on_keys(message[2])


def watched_prefixes(keys: Keys) -> tuple[str, ...]:
    """Prefixes of the keys whose changes matter: what is live, and requests."""
    single = (keys.list, keys.revision, keys.triggers, keys.digests, keys.control, keys.suspended)
    return (keys.name_prefix, *single)


async def watch_registry(
    url: str, keys: Keys, on_ready: Callable[[], None], on_keys: Callable[[list[bytes] | None], None]
) -> None:
    """Watches until the connection breaks, which a PING per second detects. `on_keys` may be called many times a second.

    Raises:
        redis.RedisError: it broke, or the server refuses.
    """
    server = await located(url)
    told = await connect(url, _Told, server=server)
    assert isinstance(told, _Told)  # noqa: S101
    try:
        asking = await connect(url, server=server)
        try:
            client_id = await told.call("CLIENT", "ID")
            told.on_keys = on_keys
            told.begin()
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await asyncio.wait((told.subscribed, told.lost), return_when=asyncio.FIRST_COMPLETED)
            prefixes = [word for prefix in watched_prefixes(keys) for word in ("PREFIX", prefix)]
            await asking.call("CLIENT", "TRACKING", "ON", "REDIRECT", client_id, "BCAST", *prefixes)
            on_ready()
            async with guides_of(url) as guides:
                while told.open and not asking.lost.done():
                    async with asyncio.timeout(ANSWER_WITHIN_S):
                        await asking.call("PING")
                    with contextlib.suppress(GuideError):  # the server answers: they may come back
                        if await guides.name_another(server):
                            break
                    lost = (told.lost, asking.lost)
                    await asyncio.wait(lost, timeout=rest_s(PING_EVERY_S), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.close()
    except TimeoutError as error:
        raise reply_timeout() from error
    finally:
        told.close()
    raise connection_closed()
