"""A connection that listens for keys with a new deadline. Its messages are never numbered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.expiring import LEARNT_BY
from luasprocs.runtime.wire import Wire, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.expiring import Expiring

_LEARNT_BY = frozenset(event.encode() for event in LEARNT_BY)
_SUBSCRIBE_AT_ONCE = 500


class DeadlineListener(Wire):
    """Passes each key that may have a new deadline to a callback."""

    def start(self, wanted: Expiring, heard: Callable[[bytes], None]) -> None:
        """Handles messages from now on; `heard` gets the keys."""
        self._keyspace, self._matches, self._heard = wanted.by_keyspace, wanted.matcher(), heard
        self._missing = 0
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.receive = self._notice

    async def subscribe(self, wanted: Expiring, db: int) -> None:
        """Subscribes, and waits until the server confirms it or the connection is lost."""
        channels, patterns = wanted.subscriptions(db)
        self._missing = len(channels) + len(patterns)
        for command, names in ((b"SUBSCRIBE", channels), (b"PSUBSCRIBE", patterns)):
            for start in range(0, len(names), _SUBSCRIBE_AT_ONCE):
                self.send(packed(command, *names[start : start + _SUBSCRIBE_AT_ONCE]))
        await asyncio.wait((self._subscribed, self.lost), return_when=asyncio.FIRST_COMPLETED)

    def _notice(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.close(exceptions.ResponseError(str(message)))
        elif message[0] in {b"message", b"pmessage"}:
            _, _, rest = message[-2].partition(b"__:")
            key, event = (rest, message[-1]) if self._keyspace else (message[-1], rest)
            if event in _LEARNT_BY and self._matches(key):
                self._heard(key)
        else:
            self._missing -= 1
            if not self._missing:
                self._subscribed.set_result(None)
