"""Which schedules are due when. Pure: no I/O, no clock; times are unix milliseconds of the server."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import raw
from luasprocs.contract.limits import CLOCK_BACK_MS
from luasprocs.errors import SettingsError
from luasprocs.language.metadata import typed
from luasprocs.language.misfire import GRACE_MS, Due, due
from luasprocs.language.recurrence import Recurrence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from luasprocs.contract.replies import Schedule

MANY = 10
"""If more are due at once, their records are written afterwards, so that no run waits for them."""
BACK_MS = CLOCK_BACK_MS + 1000.0
"""More than the engine's limit, so that the engine always agrees."""
TIMEOUTS_TO_PAUSE = 3
"""Runs in a row that never ended, after which a sproc is paused."""


@dataclass(slots=True)
class Timer:
    """One schedule. `held`: the engine's mark, as far as known; `done_ms`: all times up to this one are done.

    `due_ms`: the next time; `after_ms`: the one after it, computed in advance.

    `proven`: its last run came to an end. An unproven one runs in a call of its own: a run that never ends can be killed only
    if nothing in its call has written. `timed_out`: its run was killed, which is to be recorded; `timeouts`: in a row.
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
    def of(cls, schedule: Schedule) -> Timer:
        """The timer of a schedule.

        Raises:
            ValueError: somebody changed the registry by hand, so that the schedule can't be used.
        """
        recurrence = Recurrence.parse(schedule.cron, schedule.every, schedule.timezone)
        try:
            kind = typed({"misfire": schedule.misfire}, "misfire")
        except SettingsError:
            kind = typed({}, "misfire")
        return cls(raw(schedule.name), recurrence, kind, raw(schedule.held))

    def hold(self, held: bytes) -> bool:
        """Takes the engine's mark. Returns whether it belongs to this schedule."""
        ms, _, schedule = held.partition(b" ")
        if schedule.decode("utf-8", "replace") != str(self.recurrence) or not ms.isdigit():
            return False
        self.held, self.done_ms = held, int(ms)
        known = self.after_ms if self.done_ms == self.due_ms else self._after(self.done_ms)
        self.due_ms, self.after_ms = known, self._after(known)
        return True

    def ran(self, at_ms: int) -> bool:
        """Notes that the time `at_ms` is done. Returns whether the sproc is to be paused: it timed out too often."""
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
        """The run at its next time, if none is missed."""
        return Due(int(self.due_ms), None if self.after_ms == math.inf else int(self.after_ms))

    def due(self, now_ms: float) -> Due | None:
        """The run that is due now, if any."""
        if self.due_ms <= now_ms < self.after_ms and (self.misfire != "skip" or now_ms - self.due_ms <= GRACE_MS):
            return self.next_due
        return due(self.recurrence, self.done_ms, int(now_ms), self.misfire)


class Claim(NamedTuple):
    """A timer, and the run of it that is under way."""

    timer: Timer
    due: Due


class Timers:
    """All schedules of a registry by their next time. A timer that is taken stays claimed until `release`."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, Timer] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._claimed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def claimed(self) -> int:
        """How many timers are claimed."""
        return len(self._claimed)

    @property
    def next_ms(self) -> float:
        """The next time; infinity if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def replace(self, timers: Iterable[Timer]) -> None:
        """Takes the schedules of another generation. Claims stay, by name."""
        self._by_name = {timer.name: timer for timer in timers}
        self._heap = [(timer.due_ms, timer.name) for timer in self._by_name.values()]
        heapq.heapify(self._heap)

    def push(self, timer: Timer, not_before_ms: float = 0) -> None:
        """Queues a timer for its next time."""
        heapq.heappush(self._heap, (max(timer.due_ms, not_before_ms), timer.name))

    def release(self, timer: Timer) -> bool:
        """Ends a claim. Returns whether the timer is still valid: it wasn't replaced meanwhile."""
        self._claimed.discard(timer.name)
        current = self._by_name.get(timer.name)
        if current is not None and current is not timer:
            self.push(current)  # it may have been skipped while its name was claimed
        return current is timer

    def set_back(self, now_ms: float) -> bool:
        """Whether the server's clock was set back before times that have run: the engine starts such schedules again."""
        return any(timer.done_ms > now_ms + BACK_MS for timer in self._by_name.values())

    def many_due(self, now_ms: float) -> bool:
        """Whether more than MANY are due."""
        return sum(1 for due_ms, _ in self._heap[: MANY * 4] if due_ms <= now_ms) > MANY

    def take_due(self, now_ms: float) -> Iterator[Claim]:
        """Claims due timers one by one."""
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
        """Claims the proven timers of the next time ahead of it, if more than MANY share it."""
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
