"""A source of events: one subscription, and its events that have not run yet. Pure.

An event's number is (tick, count) within an epoch: all daemons see the same messages in the same order, so they agree. A
daemon numbers a source from the first tick after its subscription: that begins a segment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from luasprocs.runtime.bindings import Binding, Names

Number: TypeAlias = tuple[int, int]


class Cause(NamedTuple):
    """The run that caused an event. `depth`: 1 if a client or an original event started it.

    `roots`: how many original events ran together there; `origin`: their common name.
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
    """The start of a source's unbroken numbering. Numbers of another epoch or of an earlier life of the source are invalid."""

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
    """One subscription. `pending`: chunks to send; `done`: all up to this number has run; `sent`: all up to it is sent.

    `flight`: chunks in flight; `refused`: those that came back, in order; nothing more is sent until all have. `cost_us`: the
    time of one event on the server, 0 if unknown.
    `registered`: the segment that the server knows; `life` counts resets; `done_ms`: the server's time at `done`.
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
        """How many events are queued or refused."""
        return sum(len(chunk.events) for chunk in (*self.pending, *self.refused))

    @property
    def covers(self) -> int | None:
        """The tick from which its pending events are numbered without a break."""
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
        """Makes refused chunks pending again."""
        self.pending.extendleft(reversed(self.refused))
        self.refused.clear()
        self.sent = self.done
        self.drop_until(self.done)

    def reset(self) -> None:
        """Forgets everything: after a new epoch or a lost watermark nothing earlier can be claimed."""
        self.life += 1
        self.pending.clear()
        self.refused.clear()
        self.segment, self.done, self.sent = None, (0, 0), (0, 0)

    def drop_until(self, number: Number) -> None:
        """Forgets pending events up to a number, which have run."""
        self.done = max(self.done, number)
        while self.pending and self.pending[0].last <= number:
            self.pending.popleft()
        if self.pending and (first := self.pending[0]).tick == number[0] and first.events[0].number <= number[1]:
            first.events = [event for event in first.events if event.number > number[1]]


class Published(NamedTuple):
    """An event on a source."""

    source: bytes
    key: bytes
    event: bytes


class Layout(NamedTuple):
    """Where messages of a source have key and event: behind the first `cut` bytes of the channel is one of both."""

    source: Source
    cut: int
    keyspace: bool

    @classmethod
    def of(cls, source: Source) -> Layout:
        kind, _, _ = source.name.partition(b"__:")
        return cls(source, len(kind) + 3, kind.startswith(b"__keyspace@"))

    def read(self, channel: bytes, payload: bytes) -> Published:
        """The event of a message; `Listener.notice` has it inline, as it costs."""
        one, other = channel[self.cut :], payload
        return Published(self.source.name, one, other) if self.keyspace else Published(self.source.name, other, one)
