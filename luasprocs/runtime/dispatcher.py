"""Sends wanted events to the engine's dispatch in pipelined batches; refused ones are kept and sent again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.runtime.batch import batch_words
from luasprocs.runtime.log import log
from luasprocs.runtime.numbering import CHUNK_EVENTS
from luasprocs.runtime.timers import TIMEOUTS_TO_PAUSE
from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_full, is_killed, is_server_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.shard_state import ShardState
    from luasprocs.runtime.source import Chunk, Source

IN_FLIGHT = 4
BATCH_US = 1500
"""How long one dispatch may block the server, estimated from the last ones."""
BEHIND_REST_S = 0.01
ERROR_REST_S = 0.1
FULL_S = 1.0
"""How long a server that was full is taken for full: it queues nothing then, but may run sprocs with `oom=allow`."""


def _ignore(_: Any) -> None:
    return


class Dispatcher:
    """Sends the queued events, from `start` to `close`.

    `stale`: called when the engine is at another generation; `broken`: when its epoch is another;
    `unregistered`: when a source has no watermark; `pause`: when a sproc is to be paused.
    """

    def __init__(
        self,
        link: Link,
        state: ShardState,
        *,
        stale: Callable[[], None],
        broken: Callable[[], None],
        unregistered: Callable[[Source], None],
        pause: Callable[[bytes], None],
    ) -> None:
        self.started = False
        self.in_flight = 0
        self._link, self._state = link, state
        self._numbering, self._timeouts = state.numbering, state.timeouts
        self._numbering.wake = self._wake
        self._daemon = link.daemon.encode()
        self._function = link.keys.function("dispatch")
        self._stale, self._broken, self._unregistered, self._pause = stale, broken, unregistered, pause
        self._ready: deque[Source] = deque()
        self._refusal = ""
        self._full_until_s = 0.0
        # MULTI, so that the end marker comes even if FUNCTION KILL ends the dispatch.
        self._multi = packed(b"MULTI")
        self._markers = link.keys.markers.encode()
        self._exec = packed(b"EXEC")

    def start(self) -> None:
        """Allows sending: the triggers are bound."""
        self.started = True

    def close(self) -> None:
        """Leaves all events to the next session; the link is closed, so those in flight have come back."""
        self.started = False
        for source in self._numbering.sources.values():
            if source.refused:
                source.put_back()

    def _wake(self, source: Source) -> None:
        if not source.flight and not source.refused and source not in self._ready:
            self._ready.append(source)

    def flush(self) -> None:
        """Sends batches up to the limit in flight."""
        ready = self._ready
        while ready and self.in_flight < IN_FLIGHT and self._may_send():
            source = ready.popleft()
            if not source.pending or source.refused or source.name not in self._numbering.sources:
                continue
            self._send(source, source.take(self._size(source)))
            if source.pending:
                ready.append(source)

    def _may_send(self) -> bool:
        return self.started and self._link.is_open and not self._state.stopping and not self._numbering.holding

    @staticmethod
    def _size(source: Source) -> int:
        """How many events take about BATCH_US. The first after a change goes alone: if it never ends, it can still be killed."""
        if not source.cost_us:
            return 1
        return max(1, min(CHUNK_EVENTS, int(BATCH_US / source.cost_us)))

    def _send(self, source: Source, chunk: Chunk) -> None:
        prev = max(source.sent, (chunk.segment.tick, 0))
        source.sent = chunk.last
        words: list[Any] = [
            *(
                b"FCALL",
                self._function,
                b"0",
                source.name,
                chunk.segment.epoch,
                self._numbering.bindings.generation,
            ),
            *(self._daemon, chunk.tick, chunk.ms, *prev, chunk.segment.tick, chunk.segment.ms),
        ]
        words += batch_words(chunk)
        source.flight += 1
        self.in_flight += 1
        payload = packed(*words) + packed(b"PUBLISH", self._markers, self._numbering.proof + b"end")
        answered = partial(self._answered, source, chunk)
        if time.monotonic() < self._full_until_s:
            self._link.send(payload, partial(self._answered_alone, answered), _ignore)
        else:
            self._link.send(self._multi + payload + self._exec, _ignore, self._queued, _ignore, answered)

    def _queued(self, reply: Any) -> None:
        """Remembers why a dispatch was refused when it was queued: EXEC only says that it was."""
        self._refusal = str(reply) if isinstance(reply, Exception) else ""

    def _answered_alone(self, answered: Callable[[Any], None], reply: Any) -> None:
        self._refusal = ""
        answered([reply])

    def _answered(self, source: Source, chunk: Chunk, reply: Any) -> None:
        source.flight -= 1
        self.in_flight -= 1
        answer = reply[0] if isinstance(reply, list) else reply
        # An answer about another epoch, or about a source that was unsubscribed meanwhile, says nothing about pending events.
        if self._numbering.sources.get(source.name) is source and self._numbering.is_current(source, chunk.segment):
            if isinstance(answer, Exception):
                self._failed(source, chunk, self._refusal or str(answer), queued=not isinstance(reply, list))
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
        self._state.runs += runs
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

    def _failed(self, source: Source, chunk: Chunk, why: str, *, queued: bool) -> None:
        if is_full(why):
            self._full_until_s = time.monotonic() + FULL_S
            self._refuse(source, chunk, 0 if queued else ERROR_REST_S)
            return
        if is_server_state(why) or not self._link.is_open:  # that says nothing about the events
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
        """Which sproc of a single event was killed: the one whose begin marker came last. The third time in a row pauses it."""
        names = chunk.events[0].names
        name = self._numbering.last_begun if self._numbering.last_begun in names else names[0]
        self._timeouts[name] = self._timeouts.get(name, 0) + 1
        if self._timeouts[name] >= TIMEOUTS_TO_PAUSE:
            del self._timeouts[name]
            self._pause(name)
        return name

    def _refuse(self, source: Source, chunk: Chunk, rest_s: float) -> None:
        chunk.events = [event for event in chunk.events if (chunk.tick, event.number) > source.done]
        if chunk.events and self._numbering.is_current(source, chunk.segment):
            source.refused.append(chunk)
        if not source.flight:
            self._come_back(source, rest_s)

    def _come_back(self, source: Source, rest_s: float) -> None:
        """Sends refused events again after a rest; nothing of the source is in flight."""
        if rest_s and self._link.is_open:
            asyncio.get_running_loop().call_later(rest_s, self._again, source)
        else:
            self._again(source)

    def _again(self, source: Source) -> None:
        if not self.started or source.flight or self._numbering.sources.get(source.name) is not source:
            return  # a rest that began before the source was reset or left, or the session ended
        source.put_back()
        self._numbering.refilter(source)
        self._wake(source)
        self.flush()

    def rebound(self) -> None:
        """Forgets costs after a change of triggers, and sends what is pending."""
        for source in self._numbering.sources.values():
            source.cost_us = 0.0
            if source.pending:
                self._wake(source)
        self.flush()
