"""Async jobs as they stand in Redis: what runs, waits, is delayed or dead; and what an operator does with them.

A job runs at least once: when its daemon dies, another one runs it again. Its id stays the same, for idempotency.
"""

from __future__ import annotations

import heapq
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from redis.exceptions import ResponseError

from luasprocs.contract.codes import JobState
from luasprocs.contract.encoding import parsed_json, raw, text
from luasprocs.contract.limits import WORKERS_GROUP
from luasprocs.errors import EngineVersionError, JobError
from luasprocs.server.errors import is_no_group, is_wrong_type
from luasprocs.server.readable_errors import readable_error
from luasprocs.server.reading import raise_refusals
from luasprocs.server.registry import Registry
from luasprocs.server.shards import each_shard
from luasprocs.state.daemons import read_running

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from redis import Redis


STATES = tuple(one.value for one in JobState)
LIMIT = 1000
AT_ONCE = 100
"""Jobs that are acted upon in one step: each step looks through all dead ones, at worst."""


class JobRecord(NamedTuple):
    """One job. `state`: one of STATES (`waiting`: for its sproc's turn, `delayed`: for a retry); `where`: `async`, or `server`
    for a retry of a server-side sproc.

    `attempt` counts from 1; `enqueued_ms`, `due_ms`: unix milliseconds, `due_ms` 0 unless delayed; `daemon`: who runs it;
    `stalled`: that daemon sends no heartbeats, so nobody knows whether it still does;
    `keys`, `args`: as text, bytes that are no UTF-8 as surrogates; `error`: of a dead one's last attempt, the place first;
    `shard`: the tag of its shard in a cluster.
    """

    id: str
    sproc: str
    state: str
    trigger: str
    attempt: int
    enqueued_ms: int
    keys: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    where: str = "async"
    due_ms: int = 0
    daemon: str = ""
    stalled: bool = False
    error: str = ""
    shard: str = ""

    @property
    def shown_state(self) -> str:
        """As lists say it: `stalled` for one that is running as far as Redis knows."""
        return "stalled" if self.stalled else self.state


def read_jobs(registry: Registry, limit: int = LIMIT) -> list[JobRecord]:
    """The jobs by state, each state's oldest first; at most `limit` of each state and shard, of dead ones the newest.

    Raises:
        redis.RedisError: the server can't be read.
    """
    each = each_shard(registry, lambda shard: _read_jobs(shard, limit))
    return list(heapq.merge(*each, key=lambda job: (STATES.index(job.state), job.enqueued_ms)))


def _read_jobs(shard: Registry, limit: int) -> list[JobRecord]:
    client, keys = shard.client, shard.keys
    queued = _read(client, "XRANGE", keys.jobs, "-", "+", "COUNT", limit)
    running = {text(entry): text(consumer) for entry, consumer, *_ in _pending(shard, limit)}
    alive = {one.id for one in read_running(shard).alive} if running else set[str]()
    waiting = [
        _record(found, "waiting")
        for name in _read(client, "HKEYS", keys.running)
        for found in _read(client, "LRANGE", raw(keys.waiting_prefix) + name, 0, limit - 1)
    ]
    enqueued = _read(client, "LRANGE", keys.enqueued, 0, limit - 1)
    delayed = _read(client, "ZRANGE", keys.delayed, 0, limit - 1, "WITHSCORES")
    found = [_of_entry(entry, fields, running, alive) for entry, fields in queued]
    found += [*(_record(one, "queued") for one in enqueued), *waiting, *_delayed(delayed)]
    found += reversed(_read_dead(shard, limit))
    jobs = [job._replace(shard=keys.tag) if keys.tag else job for job in found if job is not None]
    return sorted(jobs, key=lambda job: STATES.index(job.state))


class DeadJobs(NamedTuple):
    """How many of one sproc are dead. `error`: of the newest, the place first."""

    number: int
    error: str


def count_dead(registry: Registry, limit: int = LIMIT) -> dict[str, DeadJobs]:
    """Those of each sproc, of the newest `limit` of each shard.

    Raises:
        redis.RedisError: the server can't be read.
    """
    found: dict[str, DeadJobs] = {}
    for job in (one for some in each_shard(registry, lambda shard: _read_dead(shard, limit)) for one in some if one):
        known = found.get(job.sproc, DeadJobs(0, job.error))
        found[job.sproc] = DeadJobs(known.number + 1, known.error)
    return found


def _read_dead(shard: Registry, limit: int) -> list[JobRecord | None]:
    return [
        _of_dead(fields) for _, fields in _read(shard.client, "XREVRANGE", shard.keys.dead, "+", "-", "COUNT", limit)
    ]


def count_jobs(registry: Registry) -> dict[str, int]:
    """How many are `open` (to run, or running), `delayed` and `dead`; those that wait for their sproc's turn left out."""
    each = each_shard(registry, _count_jobs)
    return {state: sum(one[state] for one in each) for state in ("open", "delayed", "dead")}


def _count_jobs(shard: Registry) -> dict[str, int]:
    pipe = shard.client.pipeline(transaction=False)
    keys = shard.keys
    asked = (("XLEN", keys.jobs), ("LLEN", keys.enqueued), ("ZCARD", keys.delayed), ("XLEN", keys.dead))
    for command, key in asked:
        pipe.execute_command(command, key)
    replies = pipe.execute(raise_on_error=False)
    raise_refusals(replies)
    queued, enqueued, delayed, dead = (reply if isinstance(reply, int) else 0 for reply in replies)
    return {"open": queued + enqueued, "delayed": delayed, "dead": dead}


def act(
    registry: Registry, action: Literal["retry", "drop"], ids: Iterable[str], state: str = ""
) -> Iterator[tuple[str, str | JobError]]:
    """Starts dead jobs anew, their attempts counted from 1, and delayed ones now; or forgets jobs that don't run.

    `state`: only those that are still in this one. Each id comes back with the state that its job was in, or with why it is
    left alone; a job is either done or left, whatever becomes of those after it.

    Raises:
        EngineVersionError: the registry's engine is too old. redis.RedisError: the server can't be asked.
    """
    left = list(dict.fromkeys(ids))
    while left:
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        each = each_shard(registry, partial(_act, words=(action, state, *map(_raw, some))))
        for job_id, *there in zip(some, *each, strict=True):  # a job is on one shard alone
            was = next(filter(None, there), b"")
            yield job_id, _refusal(action, job_id, state, text(was)) or text(was)


def _act(shard: Registry, words: Sequence[str | bytes]) -> list[Any]:
    found: Any = shard.call("job", *words)
    if not isinstance(found, list):
        raise EngineVersionError("the registry's engine is older than this luasprocs: luasprocs sync brings its own")
    return found


def _raw(job_id: str) -> bytes:
    try:
        return job_id.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, as JSON can write it: no job of the engine's
        return job_id.encode("utf-8", "surrogatepass")


def _refusal(action: str, job_id: str, state: str, was: str) -> JobError | None:
    if not was:
        wanted = state or "queued, waiting, delayed or dead"
        return JobError(f"no job {job_id!r} is {wanted}: see luasprocs jobs list")
    if was != "running":
        return None
    if action == "retry":
        return JobError(f"job {job_id} has not failed: it runs, or is to run")
    return JobError(f"job {job_id} runs: it ends by itself or at its timeout")


def _read(client: Redis, *command: Any) -> Any:
    """A list of what the command answers, flat as the server says it; none where the key has another type."""
    try:
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response() or []
        finally:
            client.connection_pool.release(connection)
    except ResponseError as error:
        if not (is_wrong_type(error) or is_no_group(error)):
            raise
        return []


def _pending(registry: Registry, limit: int) -> Any:
    return _read(registry.client, "XPENDING", registry.keys.jobs, WORKERS_GROUP, "-", "+", limit)


def _pairs(flat: Any) -> dict[str, Any]:
    return {text(name): value for name, value in zip(flat[::2], flat[1::2], strict=False)}


def _of_entry(entry: Any, fields: Any, running: Mapping[str, str], alive: Collection[str]) -> JobRecord | None:
    daemon = running.get(text(entry), "")
    job, state = _pairs(fields or []).get("job", b""), "running" if daemon else "queued"
    return _record(job, state, daemon=daemon, stalled=bool(daemon) and daemon not in alive)


def _delayed(flat: Any) -> Iterator[JobRecord | None]:
    pairs = flat if flat and isinstance(flat[0], list) else [*zip(flat[::2], flat[1::2], strict=False)]
    for found, due in pairs:
        yield _record(found, "delayed", due_ms=int(min(max(float(due), 0), 1 << 53)))


def _of_dead(fields: Any) -> JobRecord | None:
    found = _pairs(fields or [])
    return _record(found.get("job", b""), "dead", error=readable_error(text(found.get("error", b""))))


def _record(job: Any, state: str, **more: Any) -> JobRecord | None:
    """From its JSON; None for what is no job, put there by hand."""
    try:
        found = parsed_json(text(job))
        if not isinstance(found["id"], str) or not isinstance(found["sproc"], str):
            return None
        return JobRecord(
            id=found["id"],
            sproc=found["sproc"],
            state=state,
            trigger=str(found.get("trigger") or ""),
            attempt=_count(found.get("attempt"), 1),
            enqueued_ms=_count(found.get("enqueued_ms"), 0),
            keys=tuple(map(str, found.get("keys") or ())),
            args=tuple(map(str, found.get("args") or ())),
            where="server" if found.get("server") else "async",
            **more,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _count(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1 << 53 else default
