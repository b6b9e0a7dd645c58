"""Sends wanted events to the engine's dispatch, in batches, pipelined; what is refused is kept and sent again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.contract.limits import DEPTH_LIMIT
from luasprocs.runtime.numbering import CHUNK_EVENTS, Cause, Chunk, Numbering, Source
from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_killed, is_state_of_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.bindings import Names
    from luasprocs.runtime.wire import Wire

log = logging.getLogger("luasprocs.daemon")

IN_FLIGHT = 4
BATCH_US = 1500
"""How long one dispatch may hold the server, by what the last ones took."""
BEHIND_REST_S = 0.01
ERROR_REST_S = 0.1
TIMEOUTS_TO_PAUSE = 3


def _ignore(_: Any) -> None:
    return


class Dispatcher:
    """Sends what `numbering` queues. `wire` is set while there is a connection.

    `stale`: called when the engine is at another generation; `broken`: when its epoch is another;
    `unregistered`: when a source has no watermark; `pause`: when a sproc is to be paused.
    """

    def __init__(
        self,
        keys: Keys,
        daemon: str,
        stale: Callable[[], None],
        broken: Callable[[], None],
        unregistered: Callable[[Source], None],
        pause: Callable[[bytes], None],
    ) -> None:
        self.numbering = Numbering(self._wake)
        self.wire: Wire | None = None
        self.stopping = False
        self.in_flight = 0
        self.runs = 0
        self._daemon = daemon.encode()
        self._function = keys.function("dispatch")
        self._stale, self._broken, self._unregistered, self._pause = stale, broken, unregistered, pause
        self._ready: deque[Source] = deque()
        self._refusal = ""
        self._timeouts: dict[bytes, int] = {}
        # MULTI, so that the end marker comes whatever happens to the dispatch: one that FUNCTION KILL ends has none.
        self._multi = packed(b"MULTI")
        self._end = packed(b"PUBLISH", keys.markers, b"end") + packed(b"EXEC")

    @property
    def lag(self) -> int:
        """Events read and not yet run, those under way left out."""
        return sum(source.lag for source in self.numbering.sources.values())

    def _wake(self, source: Source) -> None:
        if not source.flight and not source.refused and source not in self._ready:
            self._ready.append(source)

    def flush(self) -> None:
        """Sends as much as may be under way."""
        ready = self._ready
        while ready and self.in_flight < IN_FLIGHT and self._may_send():
            source = ready.popleft()
            if not source.pending or source.refused or source.name not in self.numbering.sources:
                continue
            self._send(source, source.take(self._size(source)))
            if source.pending:
                ready.append(source)

    def _may_send(self) -> bool:
        return self.wire is not None and self.wire.open and not self.stopping and not self.numbering.holding

    @staticmethod
    def _size(source: Source) -> int:
        """So many events take about BATCH_US; the first after a change go alone, so that one that never ends can be stopped."""
        if not source.cost_us:
            return 1
        return max(1, min(CHUNK_EVENTS, int(BATCH_US / source.cost_us)))

    def _send(self, source: Source, chunk: Chunk) -> None:
        assert self.wire is not None  # noqa: S101
        prev = max(source.sent, (chunk.segment.tick, 0))
        source.sent = chunk.last
        words: list[Any] = [
            *(
                b"FCALL",
                self._function,
                b"0",
                source.name,
                chunk.segment.epoch,
                self.numbering.bindings.generation,
            ),
            *(self._daemon, chunk.tick, chunk.ms, *prev, chunk.segment.tick, chunk.segment.ms),
        ]
        _add_events(words, chunk)
        source.flight += 1
        self.in_flight += 1
        payload = self._multi + packed(*words) + self._end
        self.wire.send(payload, _ignore, self._queued, _ignore, partial(self._answered, source, chunk))

    def _queued(self, reply: Any) -> None:
        """A dispatch that is refused at queueing says why here; EXEC then says only that it was."""
        self._refusal = str(reply) if isinstance(reply, Exception) else ""

    def _answered(self, source: Source, chunk: Chunk, reply: Any) -> None:
        source.flight -= 1
        self.in_flight -= 1
        answer = reply[0] if isinstance(reply, list) else reply
        # An answer about numbers of another epoch, or of a source that was left meanwhile, says nothing about what is pending.
        if self.numbering.sources.get(source.name) is source and self.numbering.is_current(source, chunk.segment):
            if isinstance(answer, Exception):
                self._failed(source, chunk, self._refusal or str(answer))
            else:
                self._judge(source, chunk, answer)
        if source.pending and not source.refused and source not in self._ready:
            self._ready.append(source)
        self.flush()

    def _judge(self, source: Source, chunk: Chunk, answer: list[Any]) -> None:
        match answer:
            case [b"ran", tick, count, runs, took_us]:
                self._ran(source, chunk, (tick, count), runs, took_us)
            case [b"behind", tick, count]:
                source.drop_until((tick, count))
                self._refuse(source, chunk, BEHIND_REST_S)
            case [b"stale", _]:
                self._refuse(source, chunk, BEHIND_REST_S)
                self._stale()
            case [b"unregistered"]:
                self._unregistered(source)
                self._refuse(source, chunk, BEHIND_REST_S)
            case _:
                self._refuse(source, chunk, BEHIND_REST_S)
                self._broken()

    def _ran(self, source: Source, chunk: Chunk, mark: tuple[int, int], runs: int, took_us: int) -> None:
        self.runs += runs
        if runs:
            cost_us = max(1.0, took_us / runs)
            source.cost_us = cost_us if not source.cost_us else source.cost_us * 0.7 + cost_us * 0.3
            if self._timeouts and not chunk.verdict:
                for name in {name for event in chunk.events for name in event.names}:
                    self._timeouts.pop(name, None)
        if mark >= source.done:
            source.done_ms = chunk.ms
        source.drop_until(mark)
        if mark < chunk.last:
            self._refuse(source, chunk, 0)
        elif source.refused and not source.flight:
            self._come_back(source, 0)

    def _failed(self, source: Source, chunk: Chunk, why: str) -> None:
        if is_state_of_server(why) or self.wire is None or not self.wire.open:
            self._refuse(source, chunk, ERROR_REST_S)
            return
        killed = is_killed(why)
        log.warning("a dispatch of %d events failed: %s", len(chunk.events), why)
        chunk.failures += 1
        if len(chunk.events) == 1 and (killed or chunk.failures > 1):
            chunk.verdict = "timeout" if killed else "poison"
            chunk.culprit = self._culprit(chunk) if killed else b""
        elif killed or chunk.failures > 1:
            singles = [replace(chunk, events=[event], failures=1) for event in chunk.events]
            source.refused.extend(singles[:-1])
            chunk = singles[-1]
        self._refuse(source, chunk, BEHIND_REST_S if chunk.failures <= 2 else ERROR_REST_S)

    def _culprit(self, chunk: Chunk) -> bytes:
        """Which sproc of a single event was stopped: whose begin marker came last. The third time in a row it is paused."""
        names = chunk.events[0].names
        name = self.numbering.last_begun if self.numbering.last_begun in names else names[0]
        self._timeouts[name] = self._timeouts.get(name, 0) + 1
        if self._timeouts[name] >= TIMEOUTS_TO_PAUSE:
            del self._timeouts[name]
            self._pause(name)
        return name

    def _refuse(self, source: Source, chunk: Chunk, rest_s: float) -> None:
        chunk.events = [event for event in chunk.events if (chunk.tick, event.number) > source.done]
        if chunk.events and self.numbering.is_current(source, chunk.segment):
            source.refused.append(chunk)
        if not source.flight:
            self._come_back(source, rest_s)

    def _come_back(self, source: Source, rest_s: float) -> None:
        """All that was under way is answered: what was refused is sent again after a rest."""
        if rest_s and self.wire is not None and self.wire.open:
            asyncio.get_running_loop().call_later(rest_s, self._again, source)
        else:
            self._again(source)

    def _again(self, source: Source) -> None:
        if source.flight or self.numbering.sources.get(source.name) is not source:
            return  # a rest that began before the source was reset or left
        source.put_back()
        self.numbering.refilter(source)
        self._wake(source)
        self.flush()

    def rebound(self) -> None:
        """New triggers are bound: costs are unknown again, and everything pending may go."""
        for source in self.numbering.sources.values():
            source.cost_us = 0.0
            if source.pending:
                self._wake(source)
        self.flush()


def _add_events(words: list[Any], chunk: Chunk) -> None:
    """The head of a dispatch (names, routes, counts and ways, see dispatch.lua) and its events."""
    places: dict[bytes, int] = {}
    routes: dict[tuple[Names, Cause | None], int] = {}
    heads: list[Any] = []
    events: list[Any] = []
    ways: list[int] = []
    last_names: Names | None = None
    last_cause: Cause | None = None
    way = 0
    for _, key, event, names, cause in chunk.events:
        if names is not last_names or cause is not last_cause:
            last_names, last_cause = names, cause
            way = routes.setdefault((names, cause), len(routes) + 1)
            if len(heads) < way * 5:
                heads += _route(chunk, names, cause, places)
        ways.append(way)
        events += (key, event)
    counts = [event.number for event in chunk.events]
    unbroken = counts[-1] - counts[0] == len(counts) - 1
    words += (len(places), *places, len(routes), *heads)
    words += (
        counts[0] if unbroken else " ".join(map(str, counts)),
        1 if len(routes) == 1 else " ".join(map(str, ways)),
    )
    words += events


def _route(chunk: Chunk, names: Names, cause: Cause | None, places: dict[bytes, int]) -> Iterable[Any]:
    picks = [places.setdefault(name, len(places) + 1) for name in names]
    depth = cause.depth + 1 if cause else 1
    state = chunk.verdict or ("deep" if depth > DEPTH_LIMIT else "")
    if chunk.culprit:
        state = f"{state} {places[chunk.culprit]}" if chunk.culprit in places else ""
    return (depth, cause.roots if cause else 0, cause.origin if cause else b"-", state, " ".join(map(str, picks)))
