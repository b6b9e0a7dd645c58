"""What is in Redis at one moment, as far as `findings` needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw, time_ms
from luasprocs.errors import ServerUnreachableError
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import Live, engine_of, read_live
from luasprocs.server.errors import errors_named, is_wrong_type
from luasprocs.state.acknowledged import Acknowledged, parse_acknowledged
from luasprocs.state.daemons import Running, parse_heartbeats
from luasprocs.state.desired import Suspended, SyncState
from luasprocs.state.executions import Gap
from luasprocs.state.paused import Pause, parse_pauses
from luasprocs.state.schedules import read_schedules
from luasprocs.state.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.contract.codes import FindingCode
    from luasprocs.registry.edits import LiveEdit
    from luasprocs.server.registry import Registry

GAPS = 100
DAY_MS = 86_400_000
SPROCS_A_PIPELINE = 1000


@dataclass(frozen=True, slots=True)
class Failing:
    """A sproc whose last run failed. `times`: runs that failed since the last that did not.

    `since_ms`: the first of them (unix milliseconds), 0 if it is not known; `error`: of the last one.
    """

    name: str
    times: int
    since_ms: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A schedule that has missed times, the last ones noticed at `at_ms`."""

    name: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a repository at hand wants live. `differs`: that is not live, beside live edits that wait (`edited`: there are some).

    `refused`: why it is not to be made live, or ""; `unreadable`: why git can't be asked, or "".
    """

    commit: str = ""
    differs: bool = False
    edited: bool = False
    refused: str = ""
    unreadable: str = ""


@dataclass(frozen=True)
class SprocFacts:
    """What takes a look at every sproc. `engine`: why the loaded engine is not the one that the registry needs.

    `schedules`: how many there are.
    """

    live: Live
    engine: str = ""
    schedules: int = 0
    failing: tuple[Failing, ...] = ()
    missed: tuple[Missed, ...] = ()

    @cached_property
    def drift(self) -> tuple[str, ...]:
        """Names whose hash is not as it was applied, sorted."""
        return self.live.drift

    @cached_property
    def edits(self) -> tuple[LiveEdit, ...]:
        """The live edits that are not committed, by name."""
        return edits_of(self.live)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registry and what runs it, at `now_ms` of the server's clock (unix milliseconds).

    `unreachable`: why the server does not answer; then there is nothing else. `open_jobs`: those that run, or are to run, now
    or later. `wanted`: what a repository at hand wants, None for none.
    """

    now_ms: int = 0
    unreachable: str = ""
    sprocs: SprocFacts | None = None
    sync: SyncState = field(default_factory=SyncState)
    suspended: Suspended | None = None
    running: Running = field(default_factory=lambda: Running(0))
    open_jobs: int = 0
    delayed_jobs: int = 0
    dead_jobs: int = 0
    paused: tuple[Pause, ...] = ()
    acknowledged: Mapping[FindingCode, Acknowledged] = field(default_factory=dict)
    wanted: Wanted | None = None

    @property
    def live(self) -> Live | None:
        """What is live; None if the server does not answer."""
        return self.sprocs.live if self.sprocs else None


def read_snapshot(registry: Registry, server: str, expected: int = 0) -> Snapshot:
    """Reads all of it. `server`: the URL, for messages (no password of it is shown); `expected`: about how many sprocs.

    A server that does not answer makes a snapshot that says so.

    Raises:
        ServerError: the server refuses. RegistryError: a stream of the registry is a key of another type.
    """
    try:
        with errors_named(server):
            return read_around(registry, read_sprocs(registry, expected))
    except ServerUnreachableError as error:
        return Snapshot(unreachable=str(error))


def read_sprocs(registry: Registry, expected: int = 0) -> SprocFacts:
    """The part that is dear: 4 ms of the server's time for each 250 sprocs.

    Raises:
        ServerError, redis.RedisError, RegistryError: see `read_snapshot`.
    """
    live = read_live(registry, expected)
    return sprocs_of(registry, live, read_stats(registry, live.sprocs))


def sprocs_of(registry: Registry, live: Live, stats: Mapping[str, Stats]) -> SprocFacts:
    """The same of what was read already. `stats`: of live sprocs."""
    return SprocFacts(
        live=live,
        engine="" if live.empty else live.engine_stale(engine_of(live, registry.keys, live.revision.owner)),
        schedules=len(read_schedules(registry).each),
        failing=failing_in(stats),
        missed=missed_in(stats),
    )


def failing_in(stats: Mapping[str, Stats]) -> tuple[Failing, ...]:
    """The sprocs whose last run failed, by name. Pure."""
    return tuple(
        Failing(name, one.failed_in_a_row, one.failing_since_ms, one.last_error)
        for name, one in sorted(stats.items())
        if one.failing
    )


def missed_in(stats: Mapping[str, Stats]) -> tuple[Missed, ...]:
    """The schedules that have missed times, by name. Pure."""
    return tuple(Missed(name, one.last_missed_ms) for name, one in sorted(stats.items()) if one.last_missed_ms)


def read_stats(registry: Registry, names: Iterable[str]) -> dict[str, Stats]:
    """What findings need of each sproc's stats; those of which nothing was counted are left out."""
    wanted, found = list(names), dict[str, Stats]()
    for start in range(0, len(wanted), SPROCS_A_PIPELINE):
        some = wanted[start : start + SPROCS_A_PIPELINE]
        pipe: Any = registry.client.pipeline(transaction=False)
        for name in some:
            pipe.hmget(raw(registry.keys.stats(name)), _COUNTED)
        for name, reply in zip(some, pipe.execute(raise_on_error=False), strict=True):
            if isinstance(reply, list) and any(reply):
                found[name] = Stats.parse({key: value for key, value in zip(_COUNTED, reply, strict=True) if value})
    return found


_COUNTED = ("last_status", "failed_in_a_row", "failing_since", "last_error", "last_missed")


def read_around(registry: Registry, sprocs: SprocFacts) -> Snapshot:
    """All else, in one round trip. What stands in a key of another type is left out: that is a fault of `sprocs.live`.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    keys = registry.keys
    pipe: Any = registry.client.pipeline(transaction=False)
    pipe.time()
    for key in (keys.daemons, keys.desired, keys.suspended, keys.pauses, keys.acknowledged):
        pipe.hgetall(key)
    pipe.xrevrange(keys.gaps, count=GAPS)
    pipe.smembers(keys.paused)
    for command, key in (("XLEN", keys.jobs), ("LLEN", keys.enqueued), ("ZCARD", keys.delayed), ("XLEN", keys.dead)):
        pipe.execute_command(command, key)
    replies = pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not is_wrong_type(reply):
            raise reply
    now, *rest = replies
    beats, desired, suspended, pauses, acknowledged, gaps, paused, *counts = (
        None if isinstance(reply, Exception) else reply for reply in rest
    )
    queued, enqueued, delayed, dead = (count or 0 for count in counts)
    return Snapshot(
        now_ms=time_ms(now),
        sprocs=sprocs,
        sync=SyncState.parse(desired or {}),
        suspended=Suspended.parse(suspended, keys.suspended),
        running=Running(
            time_ms(now), parse_heartbeats(beats or {}), tuple(Gap.parse(*entry) for entry in reversed(gaps or ()))
        ),
        open_jobs=queued + enqueued,
        delayed_jobs=delayed,
        dead_jobs=dead,
        paused=parse_pauses(paused or (), pauses or {}),
        acknowledged=parse_acknowledged(acknowledged),
    )
