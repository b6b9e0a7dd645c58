"""What is in Redis at one moment, as far as `findings` needs it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import number
from luasprocs.errors import ServerError, ServerUnreachableError
from luasprocs.operations.places import GAPS, read_place
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import Live, engine_of, read_live
from luasprocs.registry.shards import difference
from luasprocs.server.errors import errors_named
from luasprocs.server.shards import address_of, at_once, reached
from luasprocs.state.acknowledged import Acknowledged, parse_acknowledged
from luasprocs.state.daemons import Running, merged_running
from luasprocs.state.desired import Suspended, SyncState
from luasprocs.state.paused import Pause, merged_pauses
from luasprocs.state.schedules import read_schedules
from luasprocs.state.stats import read_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.contract.codes import FindingCode
    from luasprocs.operations.places import Also
    from luasprocs.registry.edits import LiveEdit
    from luasprocs.server.registry import Registry
    from luasprocs.server.slots import SlotRange
    from luasprocs.state.stats import Stats

DAY_MS = 86_400_000


class Failing(NamedTuple):
    """A sproc whose last run failed. `times`: runs that failed since the last that did not.

    `since_ms`: the first of them (unix milliseconds), 0 if it is not known; `error`: of the last one.
    """

    name: str
    times: int
    since_ms: int = 0
    error: str = ""


class ShardFacts(NamedTuple):
    """A shard of a cluster. `slots`: its primary's; `generation`: 0 for none, or if nobody knows.

    `problem`: how it differs from the others, or why it can't be reached (`away`), as what follows its name; or "".
    """

    tag: str
    address: str
    slots: tuple[SlotRange, ...]
    generation: int = 0
    problem: str = ""
    away: bool = False


class Missed(NamedTuple):
    """A schedule that has missed times, the last ones noticed at `at_ms`."""

    name: str
    at_ms: int


class Wanted(NamedTuple):
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

    `schedules`: how many there are; `shards`: of a cluster, by their slots. `emptied`: the generation that was live before all
    keys of the registry went, 0 if nobody knows of one.
    """

    live: Live
    engine: str = ""
    schedules: int = 0
    failing: tuple[Failing, ...] = ()
    missed: tuple[Missed, ...] = ()
    shards: tuple[ShardFacts, ...] = ()
    emptied: int = 0

    @cached_property
    def drift(self) -> tuple[str, ...]:
        """Names whose hash is not as it was applied, sorted."""
        return self.live.drift

    @property
    def differs(self) -> bool:
        """Whether a sync is due, whatever git wants: of drift, of a shard, of the engine."""
        shards = any(one.problem for one in self.shards)
        return bool(shards or self.live.empty or self.engine or self.live.faults or self.drift)

    @cached_property
    def edits(self) -> tuple[LiveEdit, ...]:
        """The live edits that are not committed, by name."""
        return edits_of(self.live)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registry and what runs it, at `now_ms` of the server's clock (unix milliseconds).

    `unreachable`: why the server does not answer; then there is nothing else. `open_jobs`: those that run, or are to run, now
    or later; `dead_since_ms`: when the first of the dead ones died, 0 for none. `wanted`: what a repository at hand wants, None
    for none.
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
    dead_since_ms: int = 0
    paused: tuple[Pause, ...] = ()
    acknowledged: Mapping[FindingCode, Acknowledged] = field(default_factory=dict)
    wanted: Wanted | None = None

    @property
    def live(self) -> Live | None:
        """What is live; None if the server does not answer."""
        return self.sprocs.live if self.sprocs else None

    @property
    def refuses(self) -> str:
        """Why a server takes no writes, if that keeps something from running: a replica has its master's living daemons.

        Heartbeats can't be written then, so that nobody knows which daemons live.
        """
        infos = [one.info for one in (self.live, *self.live.siblings)] if self.live else []
        each = (one.refuses for one in infos if not (one.role == "replica" and self.running.alive))
        return next(filter(None, each), "")


def read_snapshot(registry: Registry, server: str, expected: int = 0) -> Snapshot:
    """Reads all of it. `server`: the URL, for messages (no password of it is shown); `expected`: about how many sprocs.

    A server that does not answer makes a snapshot that says so; of a cluster's shards those are read that do.

    Raises:
        ServerError: the server refuses. RegistryError: a stream of the registry is a key of another type.
    """
    try:
        with errors_named(server):
            there, away = reached(registry)
            live = read_live(there, expected)
            stats = read_stats(there, live.sprocs)
            return read_around(there, sprocs_of(there, live, stats, away_shards(registry, away)))
    except ServerError as error:
        return without_server(error)


def without_server(error: ServerError) -> Snapshot:
    """Of a server of which nobody can read anything now: it is gone, busy, loading, or has no connection left.

    Raises:
        ServerError: the same, if it is about the user.
    """
    if type(error) not in {ServerError, ServerUnreachableError}:
        raise error
    return Snapshot(unreachable=str(error))


def sprocs_of(
    registry: Registry,
    live: Live,
    stats: Mapping[str, Stats],
    away: Iterable[ShardFacts] = (),
    *,
    before: SprocFacts | None = None,
) -> SprocFacts:
    """What was read of every sproc. `stats`: of live sprocs; `away`: shards that can't be reached, which aren't in `registry`;
    `before`: what the same reader saw last.
    """
    shards = [*(_shards(registry, live) if registry.keys.tag else ()), *away]
    return SprocFacts(
        live=live,
        engine="" if live.empty else live.engine_stale(engine_of(live, registry.keys, live.revision.owner)),
        schedules=len(read_schedules(registry).each),
        failing=failing_in(stats),
        missed=missed_in(stats),
        shards=tuple(sorted(shards, key=lambda one: one.slots)),
        emptied=_emptied(live, before) if live.empty else 0,
    )


def _emptied(live: Live, before: SprocFacts | None) -> int:
    """The engine outlives FLUSHALL, and knows what it compiled from."""
    ours = live.about is not None and live.about.db == str(live.info.db)  # an engine serves one db
    of_engine = number(live.about.generation) if live.about and ours else 0
    seen = max(before.emptied, before.live.revision.generation) if before else 0
    return max(of_engine, seen, *(its.revision.generation for its in live.siblings))


def _shards(registry: Registry, live: Live) -> Iterator[ShardFacts]:
    for shard, its in zip(registry.shards, (live, *live.siblings), strict=True):
        problem = "" if live.empty else difference(live, its, shard.keys)
        yield ShardFacts(shard.keys.tag, address_of(shard), shard.ranges, its.revision.generation, problem)


def away_shards(registry: Registry, why: Mapping[str, str]) -> list[ShardFacts]:
    """Those that can't be reached, from the tags that `reached` found."""
    return [
        ShardFacts(tag, address_of(shard), shard.ranges, problem=f"can't be reached: {why[tag]}", away=True)
        for shard in registry.shards
        if (tag := shard.keys.tag) in why
    ]


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


def read_around(registry: Registry, sprocs: SprocFacts) -> Snapshot:
    """All else, in one round trip to each place. A key of another type is left out: it is a fault of `sprocs.live`.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    return replace(read_beside(registry)[0], sprocs=sprocs)


def read_beside(registry: Registry, also: Also | None = None) -> tuple[Snapshot, list[list[Any]]]:
    """All but the sprocs, and each shard's replies to what `also` asks there in the same round trip, errors too.

    Raises:
        redis.RedisError: as `read_around`.
    """
    places = [*dict.fromkeys((*registry.shards, registry.home))]
    read = dict(zip(places, at_once(places, lambda place: read_place(registry, place, also)), strict=True))
    each, shared = [read[shard][0] for shard in registry.shards], read[registry.home][1]
    found = Snapshot(
        now_ms=each[0].running.now_ms,
        sync=SyncState.parse(shared.desired or {}),
        suspended=Suspended.parse(shared.suspended, registry.home.keys.suspended),
        running=merged_running([one.running for one in each], GAPS),
        open_jobs=sum(one.jobs[0] for one in each),
        delayed_jobs=sum(one.jobs[1] for one in each),
        dead_jobs=sum(one.jobs[2] for one in each),
        dead_since_ms=min(filter(None, (one.dead_since_ms for one in each)), default=0),
        paused=merged_pauses(one.paused for one in each),
        acknowledged=parse_acknowledged(shared.acknowledged),
    )
    return found, [one.also for one in each]
