"""Runs schedules by a clock of the sandbox: each time in a stretch of time, through the engine, as a daemon would."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.replies import Schedule
from luasprocs.errors import RegistryError
from luasprocs.language.recurrence import Recurrence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.server.registry import Registry

_WHO = "sandbox"


def run_due(registry: Registry, after_ms: int, until_ms: int) -> Iterator[int]:
    """Runs every scheduled time after the one and not after the other, in order; each is yielded once all of it has run.

    Times are unix milliseconds, and must not lie in the server's future: the engine refuses those.

    Raises:
        RegistryError: a schedule can't be used, or the sprocs were changed by what ran. redis.RedisError: the server failed.
    """
    reply: Any = registry.call_ro("schedules")
    generation, recurrences = reply[0], {}
    for one in Schedule.each(reply):
        if one.paused:
            continue
        try:
            recurrences[one.name] = Recurrence.parse(one.cron, one.every, one.timezone)
        except ValueError as error:
            raise RegistryError(f"the schedule of {one.name} can't be used: {error}") from error
    heap = [(due, name) for name, times in recurrences.items() if (due := times.next_after(after_ms)) is not None]
    heapq.heapify(heap)
    while heap and heap[0][0] <= until_ms:
        due_ms, name = heapq.heappop(heap)
        next_ms = recurrences[name].next_after(due_ms)
        _run(registry, generation, name, str(recurrences[name]), (due_ms, next_ms))
        if next_ms is not None:
            heapq.heappush(heap, (next_ms, name))
        if not heap or heap[0][0] > due_ms:
            yield due_ms


def _run(registry: Registry, generation: bytes, name: str, schedule: str, times: tuple[int, int | None]) -> None:
    due_ms, next_ms = times
    held = raw(f"{due_ms - 1} {schedule}")  # that the time before has run
    registry.client.hset(registry.keys.scheduled, raw(name), held)
    words = (raw(name), held, due_ms, "" if next_ms is None else next_ms, "", "")
    reply: Any = registry.call("cron", "run", _WHO, generation, 0, *words)
    if reply[0] != b"ok":
        raise RegistryError("the sprocs were changed while schedules ran: change them between two moves of the clock")
    answer = reply[2]
    if not isinstance(answer, int) and answer != b"paused":
        raise RegistryError(f"{name} did not run at {due_ms}: {text(answer)}")
