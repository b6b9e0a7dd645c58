"""Runs schedules: knows when each is due by the server's clock, and asks the engine then, which heeds one daemon's call."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.language.misfire import GRACE_MS, Due, due
from luasprocs.language.recurrence import Recurrence
from luasprocs.runtime.clock import ServerClock
from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_killed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.runtime.session import Session

log = logging.getLogger("luasprocs.daemon")

ROW = 7
"""Fields of a schedule in the engine's answer."""
AT_ONCE = 1000
"""Schedules of one call: it runs them one after the other, then marks them; the engine starts no more after 12 ms."""
AHEAD_MS = 60.0
"""So long before many are due together their call is made, so that it only has to be sent."""
GUARD_MS = 30.0
"""So close to a due time nothing else is begun."""
RECORD_LATER = 10
"""So many due at once leave their records for afterwards: the others' runs don't wait for them."""
LOOK_EVERY_S = 1.0
RETRY_MS = 100
CLOCK_BACK_MS = 601_000.0
"""More than the engine's own limit, so that it always agrees."""
BIND_AT_ONCE = 500
TIMEOUTS_TO_PAUSE = 3


@dataclass(slots=True)
class Timer:
    """One schedule. `held`: what the engine holds for it, as far as is known; `done_ms`: all up to there is done.

    `due_ms`: the time after that; `after_ms`: the one after it. Both are known before they are needed.

    `proven`: its last run came to an end. Until then it runs in a call of its own: one that never ends can be stopped only as
    long as nothing in its call has written. `timeouts`: in a row.
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

    def hold(self, held: bytes) -> bool:
        """Takes what the engine holds. Returns whether that is of this schedule."""
        ms, _, schedule = held.partition(b" ")
        if schedule.decode("utf-8", "replace") != str(self.recurrence) or not ms.isdigit():
            return False
        self.held, self.done_ms = held, int(ms)
        known = self.after_ms if self.done_ms == self.due_ms else self._after(self.done_ms)
        self.due_ms, self.after_ms = known, self._after(known)
        return True

    def _after(self, ms: float) -> float:
        found = None if ms == math.inf else self.recurrence.next_after(ms)
        return math.inf if found is None else found

    def due(self, now_ms: float) -> Due | None:
        """What it owes."""
        if self.due_ms <= now_ms < self.after_ms and (self.misfire != "skip" or now_ms - self.due_ms <= GRACE_MS):
            return Due(int(self.due_ms), None if self.after_ms == math.inf else int(self.after_ms))
        return due(self.recurrence, self.done_ms, int(now_ms), self.misfire)


class Scheduler:
    """The schedules of one registry. Outlives sessions only as an object: each session reads them anew."""

    def __init__(self) -> None:
        self.runs = 0
        self._timers: dict[bytes, Timer] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._generation: bytes = b""
        self._wake = asyncio.Event()
        self._rebind = True
        self._unsure = False
        self._under_way: set[bytes] = set()
        self._prepared: list[tuple[float, Sequence[tuple[Timer, Due]], bytes]] = []
        self._told: set[str] = set()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """Runs asked for and not answered."""
        return len(self._under_way)

    def __len__(self) -> int:
        return len(self._timers)

    def rebind(self) -> None:
        """Schedules have changed, or one was paused or resumed: they are read again."""
        self._rebind = True
        self._wake.set()

    def stop(self) -> None:
        """Nothing more is started."""
        self._stopping = True

    async def serve(self, session: Session) -> None:
        """Runs what is due for as long as the session lasts.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        clock = ServerClock(session.commands)
        self._rebind, self._under_way = True, set()
        self._prepared.clear()
        looked = 0.0
        while not self._stopping:
            try:
                guarded = self._next_ms - GUARD_MS < clock.now_ms() if looked else False
                stale = bool(self._timers) and time.monotonic() - looked >= LOOK_EVERY_S
                if self._rebind or self._unsure or (stale and not guarded):
                    looked, self._unsure = time.monotonic(), False
                    await clock.measure()
                    self._rebind = self._rebind or self._set_back(clock.now_ms())
                    await self._bind(session, clock)
                    await self._record(session)
                self._start(session, clock)
            except exceptions.ResponseError as error:
                self._say(f"schedules wait: {error}")
                await asyncio.sleep(RETRY_MS / 1000)
            self._wake.clear()
            if self._rebind:
                continue
            rest_ms = self._next_ms - clock.now_ms()
            if 0 < rest_ms <= AHEAD_MS and not self._prepared:
                self._prepare(session)
                rest_ms = self._next_ms - clock.now_ms()
            if rest_ms > AHEAD_MS:
                rest_ms -= AHEAD_MS
            rest_s = min(LOOK_EVERY_S, max(0.0, rest_ms / 1000))
            if rest_s > 0:
                try:
                    async with asyncio.timeout(rest_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    @property
    def _next_ms(self) -> float:
        return min(self._heap[0][0] if self._heap else math.inf, self._prepared_ms)

    @property
    def _prepared_ms(self) -> float:
        return self._prepared[0][0] if self._prepared else math.inf

    def _prepare(self, session: Session) -> None:
        """Makes the calls for what is due next, where it is many."""
        due_ms = self._heap[0][0]
        if sum(1 for at_ms, _ in self._heap if at_ms == due_ms) <= RECORD_LATER:
            return
        items: list[tuple[Timer, Due]] = []
        others: list[tuple[float, bytes]] = []
        while self._heap and self._heap[0][0] == due_ms:
            entry = heapq.heappop(self._heap)
            timer = self._timers.get(entry[1])
            if timer is None or timer.name in self._under_way or timer.due_ms != due_ms or not timer.proven:
                others.append(entry)
                continue
            self._under_way.add(timer.name)
            items.append((timer, Due(int(due_ms), None if timer.after_ms == math.inf else int(timer.after_ms))))
        for entry in others:
            heapq.heappush(self._heap, entry)
        for some in _stretches(items, AT_ONCE):
            self._prepared.append((due_ms, some, self._payload(session, some, later=True)))

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told = {text, *list(self._told)[:50]}
            log.warning(text)

    def _set_back(self, now_ms: float) -> bool:
        """Whether the server's clock was set back behind times that have run: the engine begins those schedules anew."""
        return any(timer.done_ms > now_ms + CLOCK_BACK_MS for timer in self._timers.values())

    async def _bind(self, session: Session, clock: ServerClock) -> None:
        """Reads the schedules if they may have changed, begins new ones, shows their countdowns."""
        if not self._rebind:
            return
        self._rebind = False
        generation, _, *rows = await session.commands.call("FCALL_RO", session.keys.function("schedules"), 0)
        self._generation = generation
        self._timers = {
            timer.name: timer for at in range(0, len(rows), ROW) if (timer := self._timer(rows[at : at + ROW]))
        }
        timers = list(self._timers.values())
        now_ms = clock.now_ms()
        fresh = [timer for timer in timers if not timer.hold(timer.held) or timer.done_ms > now_ms]
        for some in _stretches(fresh, BIND_AT_ONCE):
            words = [word for timer in some for word in (timer.name, str(timer.recurrence))]
            reply = await self._call(session, "start", *words)
            for timer, held in zip(some, reply[2:], strict=False):
                if not timer.hold(held):
                    self._timers.pop(timer.name)  # paused just now
        for _, some, _ in self._prepared:  # made for the schedules before
            self._under_way -= {timer.name for timer, _ in some}
        self._prepared.clear()
        self._heap = [(timer.due_ms, timer.name) for timer in self._timers.values()]
        heapq.heapify(self._heap)
        for some in _stretches(list(self._timers.values()), BIND_AT_ONCE):
            words = [word for timer in some for word in (timer.name, timer.held, _text(timer.due_ms))]
            await self._call(session, "show", *words)

    def _timer(self, row: Sequence[bytes]) -> Timer | None:
        name, cron, every, zone, misfire, paused, held = row
        if paused:
            return None
        try:
            recurrence = Recurrence.parse(cron.decode(), every.decode(), zone.decode())
        except ValueError as error:
            self._say(f"the schedule of {name.decode('utf-8', 'replace')} can't be used: {error}")
            return None
        kind = misfire.decode("utf-8", "replace").lower()
        return Timer(name, recurrence, kind if kind in {"skip", "all"} else "once", held)

    async def _call(self, session: Session, mode: str, *words: Any) -> list[Any]:
        reply: list[Any] = await session.commands.call(
            *session.function("cron", mode, session.daemon.id, self._generation, *words)
        )
        if reply[0] != b"ok":
            self.rebind()
            return [b"stale", 0]
        return reply

    def _start(self, session: Session, clock: ServerClock) -> None:
        """Asks for all that is due, in calls of some: the server is at the first while the next is made."""
        now_ms = clock.now_ms()
        if self._prepared_ms <= now_ms:
            for _, some, payload in self._prepared:
                session.commands.send(payload, partial(self._replied, session, some))
            self._prepared.clear()
            session.spawn(self._record(session))
        later = sum(1 for due_ms, _ in self._heap[: RECORD_LATER * 4] if due_ms <= now_ms) > RECORD_LATER
        items: list[tuple[Timer, Due]] = []
        while self._heap and self._heap[0][0] <= now_ms:
            _, name = heapq.heappop(self._heap)
            timer = self._timers.get(name)
            if timer is None or name in self._under_way:
                continue
            found = timer.due(now_ms)
            if found is None:
                self._push(timer)
                continue
            self._under_way.add(name)
            if not timer.proven:
                self._send(session, [(timer, found)], later=later)
                continue
            items.append((timer, found))
            if len(items) == AT_ONCE:
                self._send(session, items, later=later)
                items = []
        if items:
            self._send(session, items, later=later)
        if later:
            session.spawn(self._record(session))

    def _push(self, timer: Timer, not_before_ms: float = 0) -> None:
        heapq.heappush(self._heap, (max(timer.due_ms, not_before_ms), timer.name))
        self._wake.set()

    def _send(self, session: Session, items: Sequence[tuple[Timer, Due]], *, later: bool) -> None:
        session.commands.send(self._payload(session, items, later=later), partial(self._replied, session, items))

    def _payload(self, session: Session, items: Sequence[tuple[Timer, Due]], *, later: bool) -> bytes:
        words: list[Any] = [*session.function("cron", "run", session.daemon.id, self._generation, int(later))]
        for timer, one in items:
            bounds = f"{_seconds(one.first)}-{_seconds(one.last)}" if one.missed else ""
            missed = f"{one.missed} {bounds} {_missed(one)}" if one.missed else b""
            verdict = b"missed" if one.skipped else b"timeout" if timer.timed_out else b""
            words += (timer.name, timer.held, one.at, _text(one.next), missed, verdict)
        return packed(*words)

    def _replied(self, session: Session, items: Sequence[tuple[Timer, Due]], reply: Any) -> None:
        if isinstance(reply, exceptions.ConnectionError):
            return  # the session ends
        if isinstance(reply, Exception):
            session.spawn(self._failed(session, items, str(reply)))
            return
        if reply[0] != b"ok":  # another generation: nothing was run
            self._under_way -= {timer.name for timer, _ in items}
            self.rebind()
            return
        for (timer, one), answer in zip(items, reply[2:], strict=True):
            self._answered(session, timer, one, answer, reply[1])

    def _answered(self, session: Session, timer: Timer, one: Due, answer: Any, now_ms: int) -> None:
        self._under_way.discard(timer.name)
        if self._timers.get(timer.name) is not timer:
            return  # read anew meanwhile
        if isinstance(answer, int):
            self.runs += not one.skipped
            timer.proven = not timer.timed_out
            self._count_timeout(session, timer)
            timer.hold(b"%d %s" % (one.at, str(timer.recurrence).encode()))
            self._push(timer)
        elif answer.startswith(b"held "):
            if timer.hold(answer[5:]):
                self._push(timer)
            else:
                self.rebind()
        elif answer == b"paused":
            self.rebind()
        else:  # early: the server's clock was set back; later: the call took too long
            self._unsure = self._unsure or answer == b"early"
            self._push(timer, now_ms if answer == b"later" else now_ms + RETRY_MS)

    @staticmethod
    def _count_timeout(session: Session, timer: Timer) -> None:
        """The third timeout in a row pauses it."""
        timer.timeouts = timer.timeouts + 1 if timer.timed_out else 0
        timer.timed_out = False
        if timer.timeouts >= TIMEOUTS_TO_PAUSE:
            timer.timeouts = 0
            session.daemon.pause(timer.name)

    async def _failed(self, session: Session, items: Sequence[tuple[Timer, Due]], why: str) -> None:
        """Nothing of the call was done. Where it was stopped for taking too long, each is tried alone to see whose run it is."""
        killed = is_killed(why)
        if killed and len(items) > 1:
            for item in items:
                self._send(session, [item], later=False)
            return
        if not killed:
            self._say(f"schedules wait: {why}")
            await asyncio.sleep(RETRY_MS / 1000)
        for timer, _ in items:
            timer.timed_out = killed
            self._under_way.discard(timer.name)
            if self._timers.get(timer.name) is timer:
                self._push(timer)

    async def _record(self, session: Session) -> None:
        """Records that runs have left, whoever's."""
        if not self._timers:
            return
        try:
            while await session.commands.call(*session.function("cron", "record")):
                pass
        except exceptions.ResponseError as error:
            self._say(f"runs of schedules can't be recorded: {error}")


def _stretches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _text(ms: float | None) -> str:
    return "" if ms is None or ms == math.inf else str(int(ms))


def _missed(one: Due) -> str:
    """Of times that were given up, what is recorded."""
    first, last = (f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" for ms in (one.first, one.last))
    return f"{one.missed} times, {first} to {last}: nothing ran them" if one.missed > 1 else f"{first}: nothing ran it"


def _seconds(ms: int) -> str:
    """As the engine writes times: seconds, with milliseconds only where there are any."""
    return f"{ms // 1000}.{ms % 1000:03}" if ms % 1000 else str(ms // 1000)
