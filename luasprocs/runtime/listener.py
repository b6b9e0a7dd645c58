"""The event connection: subscriptions, and their messages, which go to the numbering as they come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from redis import exceptions

from luasprocs.contract.keys import Keys, everyones
from luasprocs.runtime.numbering import Tick
from luasprocs.runtime.source import Layout
from luasprocs.runtime.wire import Wire, packed

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterable

    from luasprocs.runtime.bindings import Binding
    from luasprocs.runtime.imports import Import
    from luasprocs.runtime.numbering import Numbering
    from luasprocs.runtime.source import Published, Source

SUBSCRIBE_AT_ONCE = 500
ASK_EVERY_S = 5.0
"""After which a secret is asked for again, if what was heard has another one."""
FOREIGN_LIMIT = 1000
"""Registries on one server whose markers are heard."""


class Control(Protocol):
    """Receives the messages for daemons."""

    def tick(self, tick: Tick) -> None:
        """A tick came."""

    def generation(self) -> None:
        """A new generation was applied."""

    def wake(self, what: bytes) -> None:
        """There may be jobs, or sprocs were paused or resumed."""

    def foreigner(self, channel: bytes) -> None:
        """Another registry's markers came, whose secret isn't known; events are held until it is."""

    def unproven(self) -> bool:
        """A message without the engine's secret came. Whether the secret is asked for; then `resume` is called."""

    def missed(self) -> None:
        """Ticks may have been missed: nothing is numbered up to the next one."""

    def unclear(self, slots: list[int], from_ms: int) -> None:
        """Events of these slots may run twice: of each its slot; they came since a time of the server's clock."""

    async def unknown(self, *, late: bool) -> None:
        """Nobody here can tell what a migration brought: waits until others have had time to, longer if it was heard late."""

    def importing(self, slot: int, owner: str, heard: Collection[Binding]) -> Import:
        """A migration's first event came, of this slot of this node's (its id); `heard`: the sources that are."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Runs a task for as long as the session; None if that hasn't begun, or ends."""

    def flush(self) -> None:
        """All messages of one read are numbered."""


class Listener(Wire):
    """Call `attach` first, then `subscribe_control`, then `subscribe`."""

    def __init__(self) -> None:
        super().__init__()
        self._control: Control | None = None
        self._kept: list[Any] | None = None

    def attach(self, keys: Keys, numbering: Numbering, control: Control) -> None:
        """Sends messages to these from now on."""
        self._numbering, self._control = numbering, control
        self._event = numbering.event
        self._channels: dict[bytes, Layout] = {}
        self._patterns: dict[bytes, Layout] = {}
        self._ticks, self._markers = keys.ticks.encode(), keys.markers.encode()
        self.everyone = everyones(Keys.markers, keys.tag)
        self._asked_s: dict[bytes, float] = {}
        self._generations, self._wakes = keys.generations.encode(), keys.wakes.encode()
        self._marks = False
        self._awaited: set[bytes] = set()
        self._confirmed = asyncio.Event()
        self.receive = self.notice

    @property
    def holds(self) -> bool:
        """Whether messages wait for an answer of the server."""
        return False

    async def subscribe_control(self) -> None:
        """Subscribes to ticks, generations and wake-ups; waits until the server confirms it."""
        await self._subscribe(b"SUBSCRIBE", (self._ticks, self._generations, self._wakes))

    async def subscribe(self, sources: Iterable[Source]) -> None:
        """Subscribes to sources, and all registries' markers; waits until confirmed. Numbering starts at the next tick."""
        wanted = list(sources)
        if not self._marks:
            self._marks = True
            await self._subscribe(b"PSUBSCRIBE", (self.everyone,))
        for source in wanted:
            (self._patterns if source.binding.pattern else self._channels)[source.name] = Layout.of(source)
        await self._subscribe(b"PSUBSCRIBE", [one.name for one in wanted if one.binding.pattern])
        await self._subscribe(b"SUBSCRIBE", [one.name for one in wanted if not one.binding.pattern])

    async def subscribe_channel(self, channel: bytes) -> None:
        """Subscribes to one more channel; waits until the server confirms it."""
        await self._subscribe(b"SUBSCRIBE", (channel,))

    async def _subscribe(self, command: bytes, names: Iterable[bytes]) -> None:
        listed = list(names)
        for start in range(0, len(listed), SUBSCRIBE_AT_ONCE):
            some = listed[start : start + SUBSCRIBE_AT_ONCE]
            self._awaited |= set(some)
            self._confirmed.clear()
            self.send(packed(command, *some))
            await self._until_confirmed()

    async def _until_confirmed(self) -> None:
        waiter = asyncio.ensure_future(self._confirmed.wait())
        try:
            await asyncio.wait((waiter, self.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if not self.open:
            raise self.lost.result() or exceptions.ConnectionError(
                "the event connection broke while subscribing: closed by the server"
            )

    def unsubscribe(self, sources: Iterable[Source]) -> None:
        """Unsubscribes from sources that nothing here wants any more."""
        for source in sources:
            places = self._patterns if source.binding.pattern else self._channels
            if places.pop(source.name, None) and self.open:
                command = b"PUNSUBSCRIBE" if source.binding.pattern else b"UNSUBSCRIBE"
                self.send(packed(command, source.name))
        if self._marks and not (self._patterns or self._channels) and self.open:
            self._marks = False
            self.send(packed(b"PUNSUBSCRIBE", self.everyone))

    def resume(self, *, changed: bool) -> None:
        """Handles what was kept while the engine's secret was asked for. `changed`: whether there is another one."""
        kept, self._kept = self._kept or [], None
        if changed:
            self._asked_s.pop(self._ticks, None)
            if kept and self._control is not None and not self._numbering.proof_of(kept[0][-1]):
                self._control.missed()  # there may have been another secret between the two
        for message in kept:
            self._resumed(message)
        self.flushed()

    def _resumed(self, message: Any) -> None:
        self.notice(message)

    def flushed(self) -> None:
        if self._control is not None:
            self._control.flush()

    def notice(self, message: Any) -> None:
        """Handles one message."""
        if self._kept is not None:
            self._kept.append(message)
            return
        try:
            kind = message[0]
        except TypeError:  # it is an error: an ACL refuses a subscription
            self.close(exceptions.ResponseError(str(message)))
            return
        if kind == b"pmessage":
            place = self._patterns.get(message[1])
            channel, payload = message[2], message[3]
        elif kind == b"message":
            channel, payload = message[1], message[2]
            place = self._channels.get(channel)
            if place is None:
                self._heard(channel, payload)
                return
        else:
            self._other(message)
            return
        if place is None:
            if message[1] == self.everyone:
                self._marked(channel, payload)
            return
        source, cut, keyspace = place
        if keyspace:
            self._event(source, channel[cut:], payload)
        else:
            self._event(source, payload, channel[cut:])

    def event_in(self, message: Any) -> Published | None:
        """What a message tells of a key, if it does."""
        kind = message[0]
        place = self._patterns.get(message[1]) if kind == b"pmessage" else self._channels.get(message[1])
        return place.read(*message[-2:]) if place and kind in {b"pmessage", b"message"} else None

    def _heard(self, channel: bytes, payload: bytes) -> None:
        """Anybody may publish here: what has not the engine's secret is ignored. A wake-up only makes the daemon look."""
        assert self._control is not None  # noqa: S101  # nothing was subscribed before
        if channel == self._wakes:
            self._control.wake(payload)
            return
        proof = self._numbering.proof_of(payload)
        if not proof:
            self._unproven([b"message", channel, payload])
        elif channel == self._ticks:
            self._ticked(Tick.parse(payload[len(proof) :]))
        elif channel == self._generations:
            self._numbering.hold()
            self._control.generation()

    def _unproven(self, message: Any) -> None:
        """Somebody else's, or the engine has another secret: then a tick not heard would give what follows wrong numbers."""
        assert self._control is not None  # noqa: S101
        if self._numbering.proof and self._may_ask(self._ticks):
            if self._control.unproven():
                self._kept = [message]
                return
            del self._asked_s[self._ticks]
        self._numbering.ignored += 1

    def _ticked(self, tick: Tick) -> None:
        assert self._control is not None  # noqa: S101
        self._control.tick(tick)

    def _marked(self, channel: bytes, payload: bytes) -> None:
        """A marker of this registry, or of another one on this server, whose secret is asked for when it is heard first."""
        numbering = self._numbering
        if channel == self._markers:
            proof = numbering.proof
            if (proof and payload.startswith(proof)) or (proof := numbering.proof_of(payload)):
                numbering.marker(payload[len(proof) :])
            else:
                self._unproven([b"pmessage", self.everyone, channel, payload])
            return
        assert self._control is not None  # noqa: S101
        if not payload.startswith(numbering.foreign.get(channel) or b" ") and self._may_ask(channel):
            numbering.hold()
            self._control.foreigner(channel)
        numbering.foreign_marker(channel, payload)

    def _may_ask(self, channel: bytes) -> bool:
        now_s, known = time.monotonic(), self._asked_s
        if now_s - known.get(channel, -ASK_EVERY_S) < ASK_EVERY_S or (
            channel not in known and len(known) >= FOREIGN_LIMIT
        ):
            return False
        known[channel] = now_s
        return True

    def _other(self, message: Any) -> None:
        """Handles confirmations."""
        if message[0] in {b"subscribe", b"psubscribe"}:
            place = (self._patterns if message[0] == b"psubscribe" else self._channels).get(message[1])
            if place is not None:
                place.source.subscribed = True
            self._awaited.discard(message[1])
            if not self._awaited:
                self._confirmed.set()
