"""What is in Redis at one moment, as far as `findings` needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import FAILED
from luasprocs.contract.encoding import raw
from luasprocs.errors import ServerUnreachableError
from luasprocs.registry.history import read_history
from luasprocs.registry.live import Live, engine_of, read_live
from luasprocs.server.errors import errors_named
from luasprocs.state.daemons import Running, read_running
from luasprocs.state.desired import Suspended, SyncState, read_suspended, read_sync_state
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import count_jobs
from luasprocs.state.paused import read_paused
from luasprocs.state.schedules import read_schedules
from luasprocs.state.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.registry.history import Generation
    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Execution

RECORDS = 1000
"""Newest records that are looked at."""
GAPS = 100
DAY_MS = 86_400_000
SPROCS_A_PIPELINE = 1000


@dataclass(frozen=True, slots=True)
class Failing:
    """A sproc whose last run failed. `times`: runs that failed since the last that did not, as far as records are kept.

    `since_ms`: the first of them (unix milliseconds), 0 if it is not known; `error`: of the last one.
    """

    name: str
    times: int
    since_ms: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """Times of a schedule that were missed within a day; `why` of the last ones, at `at_ms`."""

    name: str
    at_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registry and what runs it, at `now_ms` of the server's clock (unix milliseconds).

    `unreachable`: why the server does not answer; then there is nothing else. `engine`: why the loaded engine is not the one
    that the registry needs. `rolled_back`: the generation that pinned it. `schedules`: how many there are. `open_jobs`: those
    that run, or are to run, now or later.
    """

    now_ms: int = 0
    unreachable: str = ""
    live: Live | None = None
    engine: str = ""
    rolled_back: Generation | None = None
    sync: SyncState = field(default_factory=SyncState)
    suspended: Suspended | None = None
    running: Running = field(default_factory=lambda: Running(0))
    schedules: int = 0
    open_jobs: int = 0
    dead_jobs: int = 0
    paused: frozenset[str] = frozenset()
    failing: tuple[Failing, ...] = ()
    missed: tuple[Missed, ...] = ()


def read_snapshot(registry: Registry, server: str) -> Snapshot:
    """Reads all of it. `server`: the URL, for messages (no password of it is shown).

    A server that does not answer makes a snapshot that says so.

    Raises:
        ServerError: the server refuses. RegistryError: a stream of the registry is a key of another type.
    """
    try:
        with errors_named(server):
            return _read(registry)
    except ServerUnreachableError as error:
        return Snapshot(unreachable=str(error))


def _read(registry: Registry) -> Snapshot:
    live = read_live(registry)
    running = read_running(registry, GAPS)
    records, jobs = read_executions(registry, RECORDS), count_jobs(registry)
    return Snapshot(
        now_ms=running.now_ms,
        live=live,
        engine="" if live.empty else live.engine_stale(engine_of(live, registry.keys, live.revision.owner)),
        rolled_back=_rolled_back(registry) if live.revision.pinned else None,
        sync=read_sync_state(registry),
        suspended=read_suspended(registry),
        running=running,
        schedules=len(read_schedules(registry).each),
        open_jobs=jobs["open"] + jobs["delayed"],
        dead_jobs=jobs["dead"],
        paused=read_paused(registry),
        failing=(*failing_in(records, live.sprocs), *_failing_ever(registry, live.sprocs.keys() - _ran(records))),
        missed=missed_in(records, running.now_ms - DAY_MS),
    )


def _rolled_back(registry: Registry) -> Generation | None:
    """The newest generation that is no live edit: edits keep the pin."""
    return next((one for one in read_history(registry) if one.action != "edit"), None)


def _has_run(record: Execution) -> bool:
    return bool(record.sproc) and record.status in {"ok", *FAILED}


def _ran(records: Iterable[Execution]) -> set[str]:
    return {one.sproc for one in records if _has_run(one)}


def failing_in(records: Sequence[Execution], live: Iterable[str]) -> tuple[Failing, ...]:
    """The live sprocs whose last record is of a failed run, by name. `records`: the newest last. Pure."""
    found: dict[str, Failing] = {}
    for one in filter(_has_run, records):
        if not one.failed:
            found.pop(one.sproc, None)
            continue
        before = found.get(one.sproc, Failing(one.sproc, 0, one.time_ms))
        found[one.sproc] = Failing(one.sproc, before.times + 1, before.since_ms, one.said)
    return tuple(found[name] for name in sorted(found.keys() & set(live)))


def missed_in(records: Iterable[Execution], since_ms: int) -> tuple[Missed, ...]:
    """The schedules that have missed times since then, by name, with the last ones. Pure."""
    found = {
        one.sproc: Missed(one.sproc, one.time_ms, one.said)
        for one in records
        if one.status == "missed" and one.time_ms >= since_ms
    }
    return tuple(found[name] for name in sorted(found))


def _failing_ever(registry: Registry, names: Iterable[str]) -> tuple[Failing, ...]:
    """Of sprocs without a record those whose every counted run has failed."""
    wanted, found = sorted(names), list[Failing]()
    for start in range(0, len(wanted), SPROCS_A_PIPELINE):
        some = wanted[start : start + SPROCS_A_PIPELINE]
        pipe: Any = registry.client.pipeline(transaction=False)
        for name in some:
            pipe.hmget(raw(registry.keys.stats(name)), _COUNTED)
        for name, reply in zip(some, pipe.execute(raise_on_error=False), strict=True):
            if isinstance(reply, list):
                stats = Stats.parse({key: value for key, value in zip(_COUNTED, reply, strict=True) if value})
                if 0 < stats.runs <= stats.errors:
                    found.append(Failing(name, stats.errors, error=stats.last_error))
    return tuple(found)


_COUNTED = ("runs", "errors", "last_error")
