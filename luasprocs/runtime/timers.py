"""Which schedules are due when. Pure: no I/O, no clock; times are unix milliseconds by the server's clock."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import text
from luasprocs.contract.metadata import KEYS
from luasprocs.language.metadata import parse_value
from luasprocs.language.misfire import GRACE_MS, Due, due
from luasprocs.language.recurrence import Recurrence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MANY = 10
"""So many due at once leave their records for afterwards: the others' runs don't wait for them."""
CLOCK_BACK_MS = 601_000.0
"""More than the engine's own limit, so that it always agrees."""
TIMEOUTS_TO_PAUSE = 3


@dataclass(slots=True)
class Timer:
    """One schedule. `held`: what the engine holds for it, as far as is known; `done_ms`: all up to there is done.

    `due_ms`: the time after that; `after_ms`: the one after it. Both are known before they are needed.

    `proven`: its last run came to an end. Until then it runs in a call of its own: one that never ends can be stopped only as
    long as nothing in its call has written. `timed_out`: its run was stopped, which is to be recorded; `timeouts`: in a row.
    """

    name: bytes
    recurrence: Recurrence
    misfire: str
    held: bytes
    done_ms: int = 0
    due_ms: float = math.inf
    after_ms: float = math.inf
    proven: bool = False
    timeouts: int = 0
    timed_out: bool = False

    @classmethod
    def parse(cls, row: Sequence[bytes]) -> Timer:
        """From name, cron, every, timezone, misfire and what the engine holds.

        Raises:
            ValueError, SettingsError: somebody changed the registry by hand, so that the schedule can't be used.
        """
        name, cron, every, zone, misfire, held = row
        kind = parse_value("misfire", text(misfire) or KEYS["misfire"].default({}))
        return cls(name, Recurrence.parse(cron.decode(), every.decode(), zone.decode()), kind, held)

    def hold(self, held: bytes) -> bool:
        """Takes what the engine holds. Returns whether that is of this schedule."""
        ms, _, schedule = held.partition(b" ")
        if schedule.decode("utf-8", "replace") != str(self.recurrence) or not ms.isdigit():
            return False
        self.held, self.done_ms = held, int(ms)
        known = self.after_ms if self.done_ms == self.due_ms else self._after(self.done_ms)
        self.due_ms, self.after_ms = known, self._after(known)
        return True

    def ran(self, at_ms: int) -> bool:
        """The time `at_ms` is dealt with. Returns whether it timed out too often: it is to be paused."""
        self.hold(b"%d %s" % (at_ms, str(self.recurrence).encode()))
        self.proven = not self.timed_out
        self.timeouts = self.timeouts + 1 if self.timed_out else 0
        self.timed_out = False
        if self.timeouts < TIMEOUTS_TO_PAUSE:
            return False
        self.timeouts = 0
        return True

    def _after(self, ms: float) -> float:
        found = None if ms == math.inf else self.recurrence.next_after(ms)
        return math.inf if found is None else found

    @property
    def next_due(self) -> Due:
        """What it owes at its next time, if nothing is missed."""
        return Due(int(self.due_ms), None if self.after_ms == math.inf else int(self.after_ms))

    def due(self, now_ms: float) -> Due | None:
        """What it owes."""
        if self.due_ms <= now_ms < self.after_ms and (self.misfire != "skip" or now_ms - self.due_ms <= GRACE_MS):
            return self.next_due
        return due(self.recurrence, self.done_ms, int(now_ms), self.misfire)


class Claim(NamedTuple):
    """A timer, and the time of it that is dealt with."""

    timer: Timer
    due: Due


class Timers:
    """All schedules of a registry, the next one first. A timer that was taken is claimed until its `release`."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, Timer] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._claimed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def claimed(self) -> int:
        """Timers that were taken and not released."""
        return len(self._claimed)

    @property
    def next_ms(self) -> float:
        """When the next one is due; infinity if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def replace(self, timers: Iterable[Timer]) -> None:
        """The schedules of another generation. Claims on names go on."""
        self._by_name = {timer.name: timer for timer in timers}
        self._heap = [(timer.due_ms, timer.name) for timer in self._by_name.values()]
        heapq.heapify(self._heap)

    def push(self, timer: Timer, not_before_ms: float = 0) -> None:
        """It waits for its next time."""
        heapq.heappush(self._heap, (max(timer.due_ms, not_before_ms), timer.name))

    def release(self, timer: Timer) -> bool:
        """Ends a claim. Returns whether the timer still counts: it wasn't replaced meanwhile."""
        self._claimed.discard(timer.name)
        current = self._by_name.get(timer.name)
        if current is not None and current is not timer:
            self.push(current)  # it may have been passed over, as the one before it was claimed
        return current is timer

    def set_back(self, now_ms: float) -> bool:
        """Whether the server's clock was set back behind times that have run: the engine begins those schedules anew."""
        return any(timer.done_ms > now_ms + CLOCK_BACK_MS for timer in self._by_name.values())

    def many_due(self, now_ms: float) -> bool:
        """Whether more than MANY are due."""
        return sum(1 for due_ms, _ in self._heap[: MANY * 4] if due_ms <= now_ms) > MANY

    def take_due(self, now_ms: float) -> Iterator[Claim]:
        """Claims what is due, one after the other."""
        while self._heap and self._heap[0][0] <= now_ms:
            _, name = heapq.heappop(self._heap)
            timer = self._by_name.get(name)
            if timer is None or name in self._claimed:
                continue
            found = timer.due(now_ms)
            if found is None:
                self.push(timer)
                continue
            self._claimed.add(name)
            yield Claim(timer, found)

    def take_ahead(self) -> list[Claim]:
        """Claims what is due next before its time, if more than MANY are due together: those of them that are proven."""
        due_ms = self.next_ms
        if sum(1 for at_ms, _ in self._heap if at_ms == due_ms) <= MANY:
            return []
        claims: list[Claim] = []
        others: list[tuple[float, bytes]] = []
        while self._heap and self._heap[0][0] == due_ms:
            entry = heapq.heappop(self._heap)
            timer = self._by_name.get(entry[1])
            if timer is None or timer.name in self._claimed or timer.due_ms != due_ms or not timer.proven:
                others.append(entry)
                continue
            self._claimed.add(timer.name)
            claims.append(Claim(timer, timer.next_due))
        for entry in others:
            heapq.heappush(self._heap, entry)
        return claims
