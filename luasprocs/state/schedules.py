"""Schedules as they stand: when each is due, when it ran last, what was missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ResponseError

from luasprocs.contract.codes import FAILED, Work
from luasprocs.contract.encoding import number, raw, text
from luasprocs.contract.replies import Schedule
from luasprocs.server.errors import is_missing_function
from luasprocs.server.reading import raise_refusals
from luasprocs.server.shards import each_shard
from luasprocs.state.daemons import parse_heartbeats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.server.registry import Registry


_COUNTED = ("missed", "last_run", "last_status")
_STATES = ("paused", "ok", "idle")


class ScheduleInfo(NamedTuple):
    """One schedule. `schedule` as written, `zone`: an IANA name, "" for `every`. Times are unix milliseconds, 0 for none.

    `state`: `ok`, `paused`, or `idle`: no daemon runs it; `problem`: why this machine can't tell when it is due, or "".
    `due_ms`: the next time; `last_ms`: the last one that ran or was given up; `ran_ms`: when it ran last, by event or call too;
    `missed`: times that were given up, since the stats began; `failing`: its last run failed.
    """

    name: str
    schedule: str
    zone: str
    misfire: str
    state: str
    due_ms: int = 0
    last_ms: int = 0
    ran_ms: int = 0
    missed: int = 0
    problem: str = ""
    failing: bool = False

    @property
    def shown_state(self) -> str:
        """As lists say it: `failing` for one that is `ok` but for its last run."""
        return "failing" if self.failing and self.state == "ok" else self.state

    def left_ms(self, now_ms: int) -> int:
        """Until it is due."""
        return max(0, self.due_ms - now_ms)


class Schedules(NamedTuple):
    """All of them, by name, at `now_ms` of the server's clock."""

    now_ms: int
    each: tuple[ScheduleInfo, ...] = ()


def read_schedules(registry: Registry) -> Schedules:
    """The live ones, paused too; those of disabled sprocs are left out. None, at time 0, if no engine is loaded.

    Raises:
        redis.RedisError: the server can't be read.
    """
    return merged_schedules(each_shard(registry, _read))


def merged_schedules(each: Sequence[Schedules]) -> Schedules:
    """Those of all shards by name: one that is due on a single shard is not yet anywhere else."""
    if len(each) == 1:
        return each[0]
    found: dict[str, ScheduleInfo] = {}
    for one in (one for some in each for one in some.each):
        found[one.name] = _both(found[one.name], one) if one.name in found else one
    return Schedules(each[0].now_ms, tuple(found[name] for name in sorted(found)))


def _both(one: ScheduleInfo, other: ScheduleInfo) -> ScheduleInfo:
    return one._replace(
        state=next(state for state in _STATES if state in {one.state, other.state}),
        due_ms=min(filter(None, (one.due_ms, other.due_ms)), default=0),
        last_ms=max(one.last_ms, other.last_ms),
        ran_ms=max(one.ran_ms, other.ran_ms),
        missed=one.missed + other.missed,
        problem=one.problem or other.problem,
        failing=max(one, other, key=lambda each: each.ran_ms).failing,
    )


def _read(registry: Registry) -> Schedules:
    try:
        reply: Any = registry.call_ro("schedules")
    except ResponseError as error:
        if not is_missing_function(error):
            raise
        return Schedules(0)
    now_ms: int = reply[1]
    found = tuple(Schedule.each(reply))
    pipe = registry.client.pipeline(transaction=False)
    for one in found:
        pipe.hmget(raw(registry.keys.stats(one.name)), *_COUNTED)
    pipe.hgetall(registry.keys.daemons)
    *stats, beats = pipe.execute(raise_on_error=False)
    raise_refusals((*stats, beats))
    living = [one for one in parse_heartbeats(beats) if one.alive(now_ms)] if isinstance(beats, dict) else []
    served = any(Work.SCHEDULES not in one.waits for one in living)
    infos = [_info(one, counted, now_ms, served=served) for one, counted in zip(found, stats, strict=True)]
    return Schedules(now_ms, tuple(sorted(infos, key=lambda one: one.name)))


def _info(found: Schedule, stats: Any, now_ms: int, *, served: bool) -> ScheduleInfo:
    name, cron, every, zone, misfire, paused, held = found
    missed, last_run, last_status = ("", "", "") if isinstance(stats, Exception) else (text(one or "") for one in stats)
    last_ms = number(held.partition(" ")[0])
    state = "paused" if paused else "ok" if held and served else "idle"
    due_ms, problem = 0, ""
    from luasprocs.language.recurrence import Recurrence  # noqa: PLC0415  # 7 ms of each status, if there is no schedule

    try:
        due_ms = 0 if paused else Recurrence.parse(cron, every, zone).next_after(now_ms) or 0
    except ValueError as error:
        problem = str(error)
    return ScheduleInfo(
        name=name,
        schedule=f"every {every}" if every else cron,
        zone="" if every else zone,
        misfire=misfire,
        state=state,
        due_ms=due_ms,
        last_ms=last_ms,
        ran_ms=number(last_run) * 1000,
        missed=number(missed),
        problem=problem,
        failing=last_status in FAILED,
    )
