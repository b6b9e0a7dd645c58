"""The server's clock, derived from the local monotonic clock: the local wall clock may be wrong or set at any time."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from luasprocs.runtime.wire import Wire

SAMPLES = 8
JUMP_MS = 50.0
"""If a measurement differs by more than this and its own uncertainty, the server's clock was set."""


class _Sample(NamedTuple):
    doubt_ms: float
    offset_ms: float


class ServerClock:
    """Measured by TIME from time to time; of the last samples the one with the shortest round trip counts."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    async def measure(self) -> None:
        """Takes one sample, in one round trip. Raises redis.RedisError."""
        before = time.monotonic()
        seconds, micros = await self._wire.call("TIME")
        after = time.monotonic()
        doubt_ms = (after - before) * 500
        sample = _Sample(doubt_ms, int(seconds) * 1000 + int(micros) / 1000 - (before + after) * 500)
        if self._samples and abs(sample.offset_ms - self._offset_ms) > JUMP_MS + doubt_ms:
            self._samples.clear()
        self._samples.append(sample)

    @property
    def _offset_ms(self) -> float:
        return min(self._samples).offset_ms

    def now_ms(self) -> float:
        """Unix milliseconds; needs one measurement first."""
        return time.monotonic() * 1000 + self._offset_ms
