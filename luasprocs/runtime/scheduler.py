"""Runs schedules: calls the engine at each due time by the server's clock. Of several daemons' calls the engine runs one."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions

from luasprocs.contract.codes import Work
from luasprocs.contract.encoding import raw
from luasprocs.contract.replies import Schedule
from luasprocs.runtime.clock import ServerClock
from luasprocs.runtime.schedule_words import claim_words, ms_word
from luasprocs.runtime.timers import Claim, Timer, Timers
from luasprocs.server.errors import is_killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from luasprocs.runtime.link import Link
    from luasprocs.runtime.shard_state import ShardState

AT_ONCE = 1000
"""Schedules of one call. The engine runs them in order, starts no more after 12 ms, and then marks them."""
AHEAD_MS = 60.0
"""How long before its time a call for many schedules is packed, so that it only has to be sent."""
GUARD_MS = 30.0
"""Nothing else is begun this close to a due time."""
LOOK_EVERY_S = 1.0
RETRY_MS = 100
BIND_AT_ONCE = 500


class _Prepared(NamedTuple):
    """A call that was packed ahead of its time."""

    due_ms: float
    claims: Sequence[Claim]
    payload: bytes


class Scheduler:
    """The schedules of one session. `pause`: called with the name of a sproc that timed out too often."""

    def __init__(self, link: Link, state: ShardState, pause: Callable[[bytes], None]) -> None:
        self._link, self._state, self._pause = link, state, pause
        self._clock = ServerClock(link.commands)
        self._timers = Timers()
        self._generation: bytes = b""
        self._wake = asyncio.Event()
        self._looked_s = -math.inf
        self._rebind = True
        self._unsure = False
        self._prepared: list[_Prepared] = []

    @property
    def in_flight(self) -> int:
        """Runs without an answer yet."""
        return self._timers.claimed

    def __len__(self) -> int:
        return len(self._timers)

    def rebind(self) -> None:
        """Reads the schedules again: they have changed, or a sproc was paused or resumed."""
        self._rebind = True
        self._wake.set()

    async def run(self) -> None:
        """Runs due schedules until the session ends or the daemon stops.

        Raises:
            redis.ConnectionError: the connection broke.
        """
        while not self._state.stopping:
            try:
                if self._rebind or self._unsure or self._may_look():
                    await self._look()
                self._start()
            except exceptions.ResponseError as error:
                self._link.refused(Work.SCHEDULES, "schedules wait", error)
                await asyncio.sleep(RETRY_MS / 1000)
            self._wake.clear()
            if not self._rebind:
                await self._rest()

    def _may_look(self) -> bool:
        """Whether it is time to measure the clock again, and no due time is so close that it would be late."""
        stale = (
            len(self._timers) > 0 or bool(self._link.keys.tag)
        ) and time.monotonic() - self._looked_s >= LOOK_EVERY_S
        return stale and self._next_ms - GUARD_MS >= self._clock.now_ms()

    async def _look(self) -> None:
        """Measures the server's clock, reads changed schedules, writes outstanding records."""
        self._looked_s, self._unsure = time.monotonic(), False
        await self._clock.measure()
        # In a cluster a schedule goes where its slot goes.
        if self._rebind or self._link.keys.tag or self._timers.set_back(self._clock.now_ms()):
            await self._bind()
        await self._record()

    async def _rest(self) -> None:
        """Sleeps until a schedule is due or to be prepared, or something changes."""
        rest_ms = self._next_ms - self._clock.now_ms()
        if 0 < rest_ms <= AHEAD_MS and not self._prepared:
            self._prepare()
            rest_ms = self._next_ms - self._clock.now_ms()
        if rest_ms > AHEAD_MS:
            rest_ms -= AHEAD_MS
        rest_s = min(LOOK_EVERY_S, rest_ms / 1000)
        if rest_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._wake.wait()

    @property
    def _next_ms(self) -> float:
        return min(self._timers.next_ms, self._prepared[0].due_ms if self._prepared else math.inf)

    async def _bind(self) -> None:
        """Reads the schedules, starts new ones, shows their countdowns."""
        self._rebind = False
        try:
            timers = await self._read()
        except exceptions.ResponseError:
            self._rebind = True
            raise
        for one in self._prepared:  # made for the schedules before
            for timer, _ in one.claims:
                self._timers.release(timer)
        self._prepared.clear()
        self._timers.replace(timers)
        for some in _stretches(timers, BIND_AT_ONCE):
            words = [word for timer in some for word in (timer.name, timer.held, ms_word(timer.due_ms))]
            await self._call("show", *words)

    async def _read(self) -> list[Timer]:
        """Reads the schedules that aren't paused, and starts new ones now."""
        reply = await self._link.read("schedules")
        self._generation = reply[0]
        timers = [timer for schedule in Schedule.each(reply) if (timer := self._timer(schedule))]
        now_ms = self._clock.now_ms()
        fresh = [timer for timer in timers if not timer.hold(timer.held) or timer.done_ms > now_ms]
        paused: set[bytes] = set()
        for some in _stretches(fresh, BIND_AT_ONCE):
            words = [word for timer in some for word in (timer.name, str(timer.recurrence))]
            reply = await self._call("start", *words)
            paused |= {timer.name for timer, held in zip(some, reply[2:], strict=False) if not timer.hold(held)}
        return [timer for timer in timers if timer.name not in paused]

    def _timer(self, schedule: Schedule) -> Timer | None:
        if schedule.paused:
            return None
        try:
            return Timer.of(schedule)
        except ValueError as error:
            name = raw(schedule.name).decode("utf-8", "replace")
            self._link.say(f"schedule {name}", f"the schedule of {name} can't be used: {error}")
            return None

    async def _call(self, mode: str, *words: Any) -> list[Any]:
        reply: list[Any] = await self._link.call("cron", mode, self._link.daemon, self._generation, *words)
        if reply[0] != b"ok":
            self.rebind()
            return [b"stale", 0]
        return reply

    def _start(self) -> None:
        """Sends all that is due in several calls: the server runs the first while the next is packed."""
        now_ms = self._clock.now_ms()
        if self._prepared and self._prepared[0].due_ms <= now_ms:
            for _, claims, payload in self._prepared:
                self._link.send(payload, partial(self._replied, claims))
            self._prepared.clear()
            self._link.spawn(self._record())
        later = self._timers.many_due(now_ms)
        proven: list[Claim] = []
        for claim in self._timers.take_due(now_ms):
            if not claim.timer.proven:
                self._send([claim], later=later)
                continue
            proven.append(claim)
            if len(proven) == AT_ONCE:
                self._send(proven, later=later)
                proven = []
        if proven:
            self._send(proven, later=later)
        if later:
            self._link.spawn(self._record())

    def _prepare(self) -> None:
        """Packs the calls for the next due time, if many schedules share it."""
        due_ms = self._timers.next_ms
        for some in _stretches(self._timers.take_ahead(), AT_ONCE):
            self._prepared.append(_Prepared(due_ms, some, self._payload(some, later=True)))

    def _send(self, claims: Sequence[Claim], *, later: bool) -> None:
        self._link.send(self._payload(claims, later=later), partial(self._replied, claims))

    def _payload(self, claims: Sequence[Claim], *, later: bool) -> bytes:
        words = (word for claim in claims for word in claim_words(claim))
        return self._link.packed("cron", "run", self._link.daemon, self._generation, int(later), *words)

    def _replied(self, claims: Sequence[Claim], reply: Any) -> None:
        if isinstance(reply, exceptions.ConnectionError):
            return  # the session ends
        if isinstance(reply, Exception):
            self._link.spawn(self._failed(claims, reply))
            return
        if reply[0] != b"ok":  # another generation: nothing was run
            for timer, _ in claims:
                self._timers.release(timer)
            self.rebind()
            return
        self._link.said.forget(Work.SCHEDULES)
        for claim, answer in zip(claims, reply[2:], strict=True):
            self._answered(claim, answer, reply[1])

    def _answered(self, claim: Claim, answer: Any, now_ms: int) -> None:
        timer, due = claim
        if not self._timers.release(timer):
            return  # read anew meanwhile
        if isinstance(answer, int):
            self._state.schedule_runs += not due.skipped
            if timer.ran(due.at):
                self._pause(timer.name)
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

    def _push(self, timer: Timer, not_before_ms: float = 0) -> None:
        self._timers.push(timer, not_before_ms)
        self._wake.set()

    async def _failed(self, claims: Sequence[Claim], error: Exception) -> None:
        """Handles a call that did nothing. If it was killed, each schedule is tried alone to find the one that takes too long."""
        killed = is_killed(error)
        if killed and len(claims) > 1:
            for claim in claims:
                self._send([claim], later=False)
            return
        if not killed:
            self._link.refused(Work.SCHEDULES, "schedules wait", error)
            await asyncio.sleep(RETRY_MS / 1000)
        for timer, _ in claims:
            timer.timed_out = killed
            if self._timers.release(timer):
                self._push(timer)

    async def _record(self) -> None:
        """Writes outstanding records of runs, of all daemons."""
        if not self._timers:
            return
        try:
            while await self._link.call("cron", "record"):
                pass
        except exceptions.ResponseError as error:
            self._link.refused("schedule records", "runs of schedules can't be recorded", error)


def _stretches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
