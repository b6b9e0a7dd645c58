"""Numbers the events of each source, puts them down to their causes, and queues what is wanted. Pure: no I/O.

An event's number is (tick, count) within an epoch: all daemons see the same messages in the same order, so they agree. A
daemon numbers a source from the first tick after its subscription: that begins a segment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from luasprocs.runtime.bindings import NONE, Binding, Bindings, Names

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = b"__*_Sproc_"
"""What every key of every registry holds: their events are never counted."""

CHUNK_EVENTS = 256
"""Events of one chunk at most: what is cut off it or filtered is never more."""

Number: TypeAlias = tuple[int, int]


class Cause(NamedTuple):
    """The run that an event came from. `depth`: 1 for what a client or an original event started.

    `roots`: how many original events ran together there; `origin`: names them.
    """

    name: bytes
    depth: int
    roots: int
    origin: bytes


class Event(NamedTuple):
    """A wanted event. `number`: its count within the tick; `names`: the sprocs it is for."""

    number: int
    key: bytes
    event: bytes
    names: Names
    cause: Cause | None


class Segment(NamedTuple):
    """Where a source's unbroken numbering begins. Numbers of another epoch, or of a life of the source before, mean nothing."""

    tick: int
    ms: int
    epoch: str
    life: int = 0


@dataclass(slots=True)
class Chunk:
    """Wanted events of one source and tick, in order.

    `failures`: dispatches that ended in an error; `verdict`: what is recorded instead of a run (`poison`, `timeout`), of the
    sproc `culprit` alone if there is one.
    """

    tick: int
    ms: int
    segment: Segment
    events: list[Event]
    failures: int = 0
    verdict: str = ""
    culprit: bytes = b""

    @property
    def last(self) -> Number:
        """The number of its last event."""
        return self.tick, self.events[-1].number


@dataclass(slots=True)
class Source:
    """One subscription. `pending`: chunks to send; `done`: the number up to which all has run; `sent`: up to which all is sent.

    `flight`: chunks under way; `refused`: those that came back, in order; nothing is sent until all have. `cost_us`: what
    an event takes on the server, 0 until one has run.
    `registered`: the segment that the server has heard of; `life` counts resets; `done_ms`: the server's time at `done`.
    """

    binding: Binding
    count: int = 0
    subscribed: bool = False
    segment: Segment | None = None
    pending: deque[Chunk] = field(default_factory=deque)
    done: Number = (0, 0)
    sent: Number = (0, 0)
    done_ms: int = 0
    flight: int = 0
    refused: list[Chunk] = field(default_factory=list)
    cost_us: float = 0.0
    life: int = 0
    registered: Segment | None = None

    @property
    def name(self) -> bytes:
        """The channel or pattern."""
        return self.binding.source

    @property
    def lag(self) -> int:
        """Events that are queued and not known to have run."""
        return sum(len(chunk.events) for chunk in (*self.pending, *self.refused))

    @property
    def covers(self) -> int | None:
        """The tick from which it is numbered without a break, as far as anything is pending."""
        oldest = self.refused[0] if self.refused else self.pending[0] if self.pending else None
        segment = oldest.segment if oldest else self.segment
        return segment.tick if segment else None

    def take(self, limit: int) -> Chunk:
        """The next chunk to send, of at most `limit` events."""
        chunk = self.pending.popleft()
        if len(chunk.events) > limit:
            rest = replace(chunk, events=chunk.events[limit:])
            self.pending.appendleft(rest)
            chunk = replace(chunk, events=chunk.events[:limit])
        return chunk

    def put_back(self) -> None:
        """What came back is pending again."""
        self.pending.extendleft(reversed(self.refused))
        self.refused.clear()
        self.sent = self.done
        self.drop_until(self.done)

    def reset(self) -> None:
        """A new epoch, or a watermark that is gone: nothing from before can be claimed any more."""
        self.life += 1
        self.pending.clear()
        self.refused.clear()
        self.segment, self.done, self.sent = None, (0, 0), (0, 0)

    def drop_until(self, number: Number) -> None:
        """Forgets pending events up to a number: they have run."""
        self.done = max(self.done, number)
        while self.pending and self.pending[0].last <= number:
            self.pending.popleft()
        if self.pending and (first := self.pending[0]).tick == number[0] and first.events[0].number <= number[1]:
            first.events = [event for event in first.events if event.number > number[1]]


@dataclass(slots=True)
class Tick:
    """A tick's message."""

    epoch: str
    tick: int
    ms: int
    run_id: str
    forced: bool

    @classmethod
    def parse(cls, payload: bytes) -> Tick:
        """From the channel."""
        epoch, tick, ms, run_id, forced = payload.decode().split()
        return cls(epoch, int(tick), int(ms), run_id, forced == "1")


class _Held(NamedTuple):
    source: Source
    tick: int
    ms: int
    segment: Segment
    event: Event


class Numbering:
    """All sources of one listening connection. `wake`: called when a source has something to send."""

    def __init__(self, wake: Callable[[Source], None]) -> None:
        self.sources: dict[bytes, Source] = {}
        self.bindings = Bindings()
        self.now: Tick | None = None
        self.events_read = 0
        self.cause: Cause | None = None
        self.last_begun = b""
        self._wake = wake
        self._markers = 0
        self._held: list[_Held] | None = None

    @property
    def holding(self) -> bool:
        """Whether events wait for the triggers of a new generation."""
        return self._held is not None

    def tick(self, tick: Tick) -> list[Source]:
        """A tick. Returns the sources whose numbering begins with it."""
        self.now, self.cause, self._markers = tick, None, 0
        started = []
        for source in self.sources.values():
            source.count = 0
            if source.subscribed and source.segment is None:
                source.segment = Segment(tick.tick, tick.ms, tick.epoch, source.life)
                started.append(source)
        return started

    def marker(self, payload: bytes) -> None:
        """`begin depth roots origin name`, or `end`."""
        self._markers += 1
        if not payload.startswith(b"begin "):
            self.cause = None
            return
        _, depth, roots, origin, name = payload.split(b" ", 4)
        # Depth 0 is a direct call, which counts as what a client does: the events that it causes begin their chains.
        if origin == b"-" and self.now and depth != b"0":
            origin = b"%s.%d.%d" % (self.now.epoch[:6].encode(), self.now.tick, self._markers)
        self.cause = Cause(name, int(depth), int(roots), origin)
        self.last_begun = name

    def event(self, source: Source, key: bytes, event: bytes) -> None:
        """One message of a source."""
        segment, now = source.segment, self.now
        if segment is None or now is None or OWN in key:
            return
        self.events_read += 1
        source.count += 1
        cause = self.cause if event != b"expired" else None
        if self._held is not None:
            found = Event(source.count, key, event, NONE, cause)
            self._held.append(_Held(source, now.tick, now.ms, segment, found))
            return
        names = source.binding.match(key, event)
        if names and cause is not None:
            names = self._not_itself(names, cause)
        if names:
            self._queue(source, now.tick, now.ms, segment, Event(source.count, key, event, names, cause))

    def hold(self) -> None:
        """A new generation was applied: what comes from here on waits for its triggers."""
        if self._held is None:
            self._held = []

    def bind(self, bindings: Bindings) -> tuple[list[Source], list[Source]]:
        """New triggers: held and pending events are matched anew. Returns sources to subscribe, and to leave."""
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
        for source, tick, ms, segment, event in held:
            known = self.sources.get(source.name) is source and self.is_current(source, segment)
            if known and (names := self._names(source, event)):
                self._queue(source, tick, ms, segment, event._replace(names=names))
        return new, left

    def is_current(self, source: Source, segment: Segment) -> bool:
        """Whether its numbers mean something: it is of the epoch that is, and of this life of its source."""
        return self.now is not None and segment.epoch == self.now.epoch and segment.life == source.life

    def refilter(self, source: Source) -> None:
        """Matches a source's pending events anew: those that nobody wants any more are dropped."""
        for chunk in source.pending:
            matched = ((event, self._names(source, event)) for event in chunk.events)
            chunk.events = [event._replace(names=names) for event, names in matched if names]
        source.pending = deque(chunk for chunk in source.pending if chunk.events)

    def restart(self, sources: list[Source]) -> None:
        """Their numbering broke: the next tick begins a new segment. What is pending stays."""
        for source in sources:
            source.segment = None

    def _names(self, source: Source, event: Event) -> Names:
        names = source.binding.match(event.key, event.event)
        return self._not_itself(names, event.cause) if names and event.cause else names

    def _not_itself(self, names: Names, cause: Cause) -> Names:
        """A sproc isn't triggered by its own writes, unless it is reentrant."""
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
        self._wake(source)
