"""Events that may have run twice, as nobody can tell what migrations of slots have brought. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TOGETHER_MS = 60_000
"""What is so close to the last is one entry with it: many slots move after each other, and gaps must not scroll away."""


@dataclass(slots=True)
class Repeats:
    """`count`: since the daemon's start; the rest is of the entry that was written last, or is to be."""

    count: int = 0
    slots: set[int] = field(default_factory=set)
    events: int = 0
    from_ms: int = 0
    to_ms: int = 0
    entry: bytes = b""
    reported: int = 0

    def add(self, slots: Iterable[int], from_ms: int, to_ms: int) -> None:
        """`slots`: of each event; `from_ms`, `to_ms`: between which times of the server's clock they came."""
        if from_ms - self.to_ms > TOGETHER_MS:
            self.slots, self.events, self.from_ms, self.entry = set(), 0, from_ms, b""
        came = list(slots)
        self.slots.update(came)
        self.events += len(came)
        self.count += len(came)
        self.to_ms = to_ms
