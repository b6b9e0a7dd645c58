"""Connections to nodes from which slots migrate: what these publish meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.brought import CARRIED
from luasprocs.runtime.numbering import OWN
from luasprocs.runtime.source import Layout, Source
from luasprocs.runtime.wire import Wire, connect, packed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.runtime.bindings import Binding
    from luasprocs.runtime.source import Published
    from luasprocs.server.endpoint import Endpoint

LIMIT = 100_000
"""Events that are kept of one migration."""


class Witness(Wire):
    """`published`: since the server's confirmation of what is heard, in order; `whole`: done after `end`, if that is all."""

    def __init__(self) -> None:
        super().__init__()
        self.address = ("", 0)
        self.receive = self._hear
        self.hear(())
        self.whole.set_result(None)

    @property
    def idle(self) -> bool:
        """Whether it hears nothing."""
        return self.whole.done()

    def hear(self, bindings: Iterable[Binding]) -> None:
        """Begins to listen to these sources, and forgets what it heard before."""
        self.published: list[Published] = []
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._places = {one.source: Layout.of(Source(one)) for one in bindings}
        self._awaited = set(self._places)
        for name, place in self._places.items():
            self.send(packed(b"PSUBSCRIBE" if place.source.binding.pattern else b"SUBSCRIBE", name))

    def end(self) -> None:
        """Asks for no more: what the server published up to now still comes."""
        self.send(packed("UNSUBSCRIBE") + packed("PUNSUBSCRIBE"))

    def _hear(self, message: Any) -> None:
        kind = message[0] if isinstance(message, list) else b""
        if kind == b"pmessage":
            self._add(self._places.get(message[1]), message[2], message[3])
        elif kind == b"message":
            self._add(self._places.get(message[1]), message[1], message[2])
        elif kind in {b"subscribe", b"psubscribe"}:
            self._awaited.discard(message[1])
        elif kind == b"punsubscribe" and not message[2]:
            self._tell_whole()
        elif self._handlers:
            self._answer(message)
        elif kind not in {b"unsubscribe", b"punsubscribe"}:
            self.close(exceptions.ResponseError(str(message)))

    def _add(self, place: Layout | None, channel: bytes, payload: bytes) -> None:
        if place is None or self._awaited or len(self.published) >= LIMIT:
            return
        published = place.read(channel, payload)
        if published.event in CARRIED and OWN not in published.key:
            self.published.append(published)

    def _tell_whole(self) -> None:
        if not self._awaited and len(self.published) < LIMIT and not self.whole.done():
            self.whole.set_result(None)


class Witnesses:
    """Of one daemon, for all its shards: a connection to each node is ready, as a migration may be over in a moment."""

    def __init__(self) -> None:
        self._ready: dict[tuple[str, int], Witness] = {}

    async def prepare(self, url: str, server: Endpoint) -> None:
        """Opens a connection to a node, unless one is ready."""
        if (witness := await self.take(url, server)) is not None:
            self.give_back(witness)

    async def take(self, url: str, server: Endpoint) -> Witness | None:
        """A connection to a node, for one migration; None if it can't be reached."""
        ready = self._ready.pop(server.address, None)
        if ready and ready.open:
            return ready
        try:
            witness = await connect(url, Witness, server=server)
        except exceptions.RedisError:
            return None
        assert isinstance(witness, Witness)  # noqa: S101  # it is of the kind that was asked for
        witness.address = server.address
        return witness

    def give_back(self, witness: Witness) -> None:
        """It is ready again, if it has heard all up to its end."""
        before = self._ready.get(witness.address)
        if witness.idle and witness.open and not (before and before.open):
            self._ready[witness.address] = witness
        else:
            witness.close()

    def close(self) -> None:
        for one in self._ready.values():
            one.close()
        self._ready.clear()
