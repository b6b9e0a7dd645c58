"""Waits for the end of an async run."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.codes import JobState, Status, Trigger
from luasprocs.contract.encoding import raw, text
from luasprocs.errors import JobError, WaitError
from luasprocs.language.metadata import typed
from luasprocs.state.daemons import read_running
from luasprocs.state.executions import START, Execution, read_executions
from luasprocs.state.jobs import read_jobs
from luasprocs.state.paused import read_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.operations.run import Enqueued
    from luasprocs.server.registry import Registry
    from luasprocs.state.jobs import JobRecord

POLL_S = 0.02
LATE_AFTER_S = 3.0


class Delay(StrEnum):
    """Why a job has no record yet."""

    NO_DAEMON = "no_daemon"
    PAUSED = "paused"
    RUNNING = "running"
    TURN = "turn"
    """An earlier run of its sproc has not ended."""
    BUSY = "busy"
    """The daemons have other jobs, or run none."""


def wait_for_job(
    registry: Registry,
    enqueued: Enqueued,
    timeout_s: float | None = None,
    *,
    tried: Callable[[int, Execution], None] = lambda number, record: None,
    late: Callable[[Delay], None] = lambda why: None,
) -> Execution:
    """The record of a job's last try, after its retries. `timeout_s` None: however long that takes.

    Of a sproc that records not all (`record=`), one that only tells how it ended, if there is none: its id is START.

    `tried` hears of each try that failed, from 1; `late` once, after 3 s without a record, why there is none.

    Raises:
        JobError: `overlap=skip` left the job out. WaitError: time is over.
        redis.RedisError: the connection or a right failed.
    """
    if enqueued.job is None:
        raise JobError(f"nothing enqueued: {enqueued.sproc} is running, and has overlap=skip")
    started_s, told, is_late, over = time.monotonic(), 0, False, False
    unrecorded = _unrecorded(registry, enqueued.sproc)
    while True:
        tries = [
            one
            for one in read_executions(registry, None, enqueued.since_ms)
            if (one.sproc, one.origin) == (enqueued.sproc, enqueued.origin)
        ]
        if over and unrecorded:
            return _ended(registry, enqueued, tries)
        if tries and (over or tries[-1].status == Status.OK):
            return tries[-1]
        if (tries or unrecorded) and (over := _is_over(registry, enqueued.job)):
            continue  # what it did meanwhile is in its records
        if len(tries) > told:
            told = len(tries)
            tried(told, tries[-1])
        waited_s = time.monotonic() - started_s
        if not tries and not is_late and waited_s > LATE_AFTER_S:
            is_late = True
            late(delay_of(registry, enqueued))
        if timeout_s is not None and waited_s > timeout_s:
            raise WaitError(f"job {enqueued.job} of {enqueued.sproc} has not ended within {timeout_s:g} s")
        time.sleep(POLL_S)


def delay_of(registry: Registry, enqueued: Enqueued) -> Delay:
    """Why a job may have no record yet."""
    if not daemon_alive(registry):
        return Delay.NO_DAEMON
    if enqueued.sproc in read_paused(registry):
        return Delay.PAUSED
    match _state_of(registry, enqueued.job or ""):
        case "running":
            return Delay.RUNNING
        case "waiting":
            return Delay.TURN
    return Delay.BUSY


def daemon_alive(registry: Registry) -> bool:
    """Whether a daemon runs sprocs here; True if the user may not know."""
    try:
        return bool(read_running(registry).alive)
    except ResponseError:
        return True


def _unrecorded(registry: Registry, name: str) -> bool:
    """Whether a sproc's header keeps records of its runs from being written."""
    found: Any = registry.client.hget(raw(registry.keys.name(name)), "record")
    return bool(typed({"record": text(found)} if found else {}, "record") != "all")


def _ended(registry: Registry, enqueued: Enqueued, tries: Sequence[Execution]) -> Execution:
    """How a job ended of which not all is recorded: one that failed is dead, or has its record."""
    job = _job(registry, enqueued.job or "")
    if tries and (job or tries[-1].status == Status.OK):
        return tries[-1]
    status, error = (Status.ERROR, job.error) if job else (Status.OK, "")
    return Execution(
        START, 0, sproc=enqueued.sproc, trigger=Trigger.ASYNC, origin=enqueued.origin, status=status, error=error
    )


def _job(registry: Registry, job_id: str) -> JobRecord | None:
    return next((job for job in read_jobs(registry) if job.id == job_id), None)


def _state_of(registry: Registry, job_id: str) -> str:
    job = _job(registry, job_id)
    return job.state if job else ""


def _is_over(registry: Registry, job_id: str) -> bool:
    """Whether a job that failed has no try left: it is dead, or was dropped, which two looks tell from one that just moves."""
    for _ in range(2):
        if state := _state_of(registry, job_id):
            return state == JobState.DEAD
        time.sleep(POLL_S)
    return True
