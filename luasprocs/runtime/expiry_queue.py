"""Deadlines of keys, the nearest first, in bounded memory. Pure."""

from __future__ import annotations

import heapq
import math

KEYS_LIMIT = 100_000
"""Deadlines kept at once: about 30 MB with short keys. Beyond that the later half is forgotten until another scan."""
NEVER = math.inf


class ExpiryQueue:
    """Deadlines by key, in unix ms of the server. `horizon`: later ones are not kept."""

    def __init__(self, limit: int = KEYS_LIMIT) -> None:
        self.limit = limit
        self.horizon = NEVER
        self._known: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._known)

    @property
    def next(self) -> float:
        """The nearest deadline, perhaps an outdated one, which costs one look."""
        return self._heap[0][0] if self._heap else NEVER

    def learn(self, key: bytes, deadline: int) -> None:
        """Stores a deadline; a negative one, as PEXPIRETIME returns it, means none."""
        if deadline < 0 or deadline > self.horizon:
            self._known.pop(key, None)
        elif self._known.get(key) != deadline:
            self._known[key] = deadline
            heapq.heappush(self._heap, (deadline, key))
            if len(self._heap) > self.limit:
                self._shrink()

    def due(self, now_ms: float, count: int) -> list[bytes]:
        """Removes and returns keys past their deadline: Redis expires them in the millisecond after it."""
        found: list[bytes] = []
        heap, known = self._heap, self._known
        while heap and heap[0][0] < now_ms and len(found) < count:
            deadline, key = heapq.heappop(heap)
            if known.get(key) == deadline:
                del known[key]
                found.append(key)
        return found

    def _shrink(self) -> None:
        """Drops outdated deadlines and, if that is not enough, the later half."""
        entries = sorted((deadline, key) for key, deadline in self._known.items())
        if len(entries) > self.limit // 2:
            entries = entries[: self.limit // 2]
            self.horizon = entries[-1][0]
            self._known = {key: deadline for deadline, key in entries}
        self._heap = entries
