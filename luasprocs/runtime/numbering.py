"""Numbers the events of each source, attributes them to their causes, and queues the wanted ones. Pure: no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.runtime.bindings import NONE, Bindings
from luasprocs.runtime.source import Cause, Chunk, Event, Segment, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.bindings import Names

OWN = b"__*_Sproc_"
"""Part of every registry key: events of such keys are never counted."""
CHUNK_EVENTS = 256
"""The most events of one chunk."""


@dataclass(slots=True)
class Tick:
    """The message of a tick."""

    epoch: str
    tick: int
    ms: int
    run_id: str
    forced: bool

    @classmethod
    def parse(cls, payload: bytes) -> Tick:
        epoch, tick, ms, run_id, forced = payload.decode().split()
        return cls(epoch, int(tick), int(ms), run_id, forced == "1")


class _Held(NamedTuple):
    source: Source
    tick: int
    ms: int
    segment: Segment
    event: Event


class _HeldCause(NamedTuple):
    """What events after it were caused by. `channel`: of another registry, if its `proof` is right; else b""."""

    channel: bytes
    proof: bytes
    cause: Cause | None


class Numbering:
    """All sources of one shard. `wake`: called when a source has events to send.

    `proof`: what stands before each message of the engine; `former`: before earlier ones, which may be read late; `foreign`: the
    same of other registries, by their channel of markers; `ignored`: messages without it.
    """

    def __init__(self, wake: Callable[[Source], None] = lambda _: None) -> None:
        self.wake = wake
        self.sources: dict[bytes, Source] = {}
        self.bindings = Bindings()
        self.now: Tick | None = None
        self.events_read = 0
        self.cause: Cause | None = None
        self.last_begun = b""
        self.proof = b""
        self.former: set[bytes] = set()
        self.foreign: dict[bytes, bytes] = {}
        self.ignored = 0
        self._markers = 0
        self._held: list[_Held | _HeldCause] | None = None

    @property
    def holding(self) -> bool:
        """Whether events are held back until the triggers of a new generation are known."""
        return self._held is not None

    @property
    def lag(self) -> int:
        """Events read and not yet sent or refused."""
        return sum(source.lag for source in self.sources.values())

    @property
    def registered(self) -> bool:
        """Whether the server knows where the numbering of every source begins: what is missed from then on is a gap."""
        each = self.sources.values()
        return all(source.segment is not None and source.registered is source.segment for source in each)

    def tick(self, tick: Tick) -> list[Source]:
        """Handles a tick. Returns the sources whose numbering begins with it."""
        self.now, self._markers = tick, 0
        self._caused(None)
        started = []
        for source in self.sources.values():
            source.count = 0
            if source.subscribed and source.segment is None:
                source.segment = Segment(tick.tick, tick.ms, tick.epoch, source.life)
                started.append(source)
        return started

    def marker(self, payload: bytes) -> None:
        """Handles a marker of this registry, without its proof: `begin depth roots origin name`, or `end`."""
        cause = self._parsed(payload)
        self._caused(cause)
        if cause is not None:
            self.last_begun = cause.name

    def proof_of(self, payload: bytes) -> bytes:
        """By which secret a message is the engine's; b"" if it is not."""
        known = (self.proof, *self.former)
        return next((proof for proof in known if proof and payload.startswith(proof)), b"")

    def foreign_marker(self, channel: bytes, payload: bytes) -> None:
        """Handles a marker of another registry on this server: a chain goes on here, but its sprocs are none of these."""
        secret, _, said = payload.partition(b" ")
        proof = secret + b" "
        if self._held is None and self.foreign.get(channel) != proof:
            self.ignored += 1
            return
        try:
            cause = self._parsed(said)
        except ValueError:
            self.ignored += 1
            return
        self._caused(cause._replace(name=b"") if cause else None, channel, proof)

    def _parsed(self, payload: bytes) -> Cause | None:
        self._markers += 1
        if not payload.startswith(b"begin "):
            return None
        _, depth, roots, origin, name = payload.split(b" ", 4)
        # Depth 0 is a direct call, which counts as what a client does: the events that it causes begin their chains.
        if origin == b"-" and self.now and depth != b"0":
            origin = b"%s.%d.%d" % (self.now.epoch[:6].encode(), self.now.tick, self._markers)
        return Cause(name, int(depth), int(roots), origin)

    def _caused(self, cause: Cause | None, channel: bytes = b"", proof: bytes = b"") -> None:
        """What the events from here on were caused by; of held ones that is known when they are let go."""
        if self._held is None:
            self.cause = cause
        else:
            self._held.append(_HeldCause(channel, proof, cause))

    def event(self, source: Source, key: bytes, event: bytes) -> None:
        """Handles one message of a source."""
        segment, now = source.segment, self.now
        if segment is None or now is None or OWN in key:
            return
        self.events_read += 1
        source.count += 1
        if self._held is not None:
            found = Event(source.count, key, event, NONE, None)
            self._held.append(_Held(source, now.tick, now.ms, segment, found))
            return
        cause = self.cause if event != b"expired" else None
        names = source.binding.match(key, event)
        if names and cause is not None:
            names = self._not_itself(names, cause)
        if names:
            self._queue(source, now.tick, now.ms, segment, Event(source.count, key, event, names, cause))

    def pass_over(self, source: Source) -> None:
        """Handles a message of a source that tells of no event: it has a number, and runs nothing."""
        if source.segment is not None and self.now is not None:
            self.events_read += 1
            source.count += 1

    def hold(self) -> None:
        """Holds events back from now on: a new generation was applied, and its triggers are not known yet."""
        if self._held is None:
            self._held = []

    def bind(self, bindings: Bindings) -> tuple[list[Source], list[Source]]:
        """Matches held and pending events with new triggers. Returns the sources to subscribe to, and to unsubscribe from."""
        new = [Source(binding) for name, binding in bindings.sources.items() if name not in self.sources]
        left = [source for name, source in self.sources.items() if name not in bindings.sources]
        for source in left:
            del self.sources[source.name]
            source.reset()
        self.bindings = bindings
        for name, source in self.sources.items():
            source.binding = bindings.sources[name]
            self.refilter(source)
        held, self._held = self._held or [], None
        for source in new:
            self.sources[source.name] = source
        for one in held:
            if isinstance(one, _Held):
                self._let_go(one)
            elif not one.channel or self.foreign.get(one.channel) == one.proof:
                self.cause = one.cause
            else:
                self.ignored += 1
        return new, left

    def _let_go(self, held: _Held) -> None:
        source, tick, ms, segment, event = held
        if event.event != b"expired":
            event = event._replace(cause=self.cause)
        known = self.sources.get(source.name) is source and self.is_current(source, segment)
        if known and (names := self._names(source, event)):
            self._queue(source, tick, ms, segment, event._replace(names=names))

    def is_current(self, source: Source, segment: Segment) -> bool:
        """Whether its numbers are valid: it is of the current epoch and of the current life of its source."""
        return self.now is not None and segment.epoch == self.now.epoch and segment.life == source.life

    def refilter(self, source: Source) -> None:
        """Matches a source's pending events again, and drops those that no sproc wants any more."""
        for chunk in source.pending:
            matched = ((event, self._names(source, event)) for event in chunk.events)
            chunk.events = [event._replace(names=names) for event, names in matched if names]
        source.pending = deque(chunk for chunk in source.pending if chunk.events)

    def disconnect(self) -> None:
        """Marks all sources as unsubscribed: each begins a new segment after its next subscription. Pending events stay."""
        for source in self.sources.values():
            source.subscribed, source.segment = False, None

    def _names(self, source: Source, event: Event) -> Names:
        names = source.binding.match(event.key, event.event)
        return self._not_itself(names, event.cause) if names and event.cause else names

    def _not_itself(self, names: Names, cause: Cause) -> Names:
        """Without the sproc that caused the event, unless it is reentrant."""
        if cause.name not in names or self.bindings.sprocs[cause.name].reentrant:
            return names
        return tuple(name for name in names if name != cause.name)

    def _queue(self, source: Source, tick: int, ms: int, segment: Segment, event: Event) -> None:
        pending = source.pending
        if pending:
            last = pending[-1]
            if last.tick == tick and len(last.events) < CHUNK_EVENTS and last.segment is segment and not last.failures:
                last.events.append(event)
                return
        pending.append(Chunk(tick, ms, segment, [event]))
        self.wake(source)
