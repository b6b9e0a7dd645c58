"""Who runs sprocs here: the daemons' heartbeats, `ms tick {json}`, as ticks.lua keeps them; and the gaps they recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from luasprocs.contract.encoding import parsed_json, text, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import FORGET_MS, LEASE_MS
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.reading import wrong_type
from luasprocs.server.shards import each_shard
from luasprocs.state.executions import merged_gaps, parse_gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Gap


_COUNTS = ("lag", "read", "runs", "jobs", "ignored")
"""What a daemon counts for each shard by itself."""


class DaemonInfo(NamedTuple):
    """A daemon as its last heartbeat tells. `heard_ms`: when, by the server's clock, at tick `tick`.

    `covers`: event source to the first tick that it numbers without a break. `lag`: events read and not yet run; `read`: events
    read; `runs`: events run; `jobs`: async runs under way; `started_s`: unix time, by its own clock. `waits`: what can't go on
    there, `schedules`, `jobs` or `retries`, to why. `ignored`: messages that did not come from the engine, since it connected.
    `version`: of its luasprocs, "" of one that does not say so.
    """

    id: str
    heard_ms: int
    tick: int
    host: str = ""
    pid: int = 0
    started_s: int = 0
    epoch: str = ""
    covers: Mapping[str, int] = {}
    lag: int = 0
    read: int = 0
    runs: int = 0
    jobs: int = 0
    ignored: int = 0
    waits: Mapping[str, str] = {}
    version: str = ""

    def age_ms(self, now_ms: int) -> int:
        """How long ago it was heard of, by the server's clock."""
        return max(0, now_ms - self.heard_ms)

    def alive(self, now_ms: int) -> bool:
        """Whether it was heard of lately; a clock that jumped either way makes it dead until its next heartbeat."""
        return abs(now_ms - self.heard_ms) < LEASE_MS


class Running(NamedTuple):
    """What runs, at `now_ms` of the server's clock: daemons by id, the last gaps, the newest last.

    `hearing`: the tag of each shard to the ids of the living daemons that hear its events.
    `faults`: keys that aren't what they should be, as sentences.
    """

    now_ms: int
    daemons: tuple[DaemonInfo, ...] = ()
    gaps: tuple[Gap, ...] = ()
    faults: tuple[str, ...] = ()
    hearing: Mapping[str, tuple[str, ...]] = {}

    @classmethod
    def on(
        cls, tag: str, now_ms: int, daemons: Sequence[DaemonInfo], gaps: Sequence[Gap], faults: Sequence[str] = ()
    ) -> Self:
        """What runs on one shard. A daemon that was not heard of for long is forgotten: its heartbeat may still be there."""
        known = tuple(one for one in daemons if one.age_ms(now_ms) <= FORGET_MS)
        hearing = tuple(one.id for one in known if one.covers and one.alive(now_ms))
        return cls(now_ms, known, tuple(gaps), tuple(faults), {tag: hearing})

    @property
    def alive(self) -> tuple[DaemonInfo, ...]:
        """The daemons that were heard of lately."""
        return tuple(daemon for daemon in self.daemons if daemon.alive(self.now_ms))


def parse_heartbeats(stored: Mapping[Any, Any]) -> tuple[DaemonInfo, ...]:
    """From the hash, by id; what is no heartbeat is left out."""
    found = (_parse(text(name), text(beat)) for name, beat in stored.items())
    return tuple(sorted((one for one in found if one), key=lambda one: one.id))


def _parse(name: str, beat: str) -> DaemonInfo | None:
    words = beat.split(" ", 2)
    try:
        heard_ms, tick, said = int(words[0]), int(words[1]), parsed_json(words[2])
    except (ValueError, IndexError):
        return None
    if not isinstance(said, dict):
        return None
    covers, waits = said.get("covers"), said.get("waits")
    return DaemonInfo(
        id=name,
        heard_ms=heard_ms,
        tick=tick,
        host=_string(said.get("host")),
        pid=_count(said.get("pid")),
        started_s=_count(said.get("started")),
        epoch=_string(said.get("epoch")),
        covers={source: _count(first) for source, first in covers.items()} if isinstance(covers, dict) else {},
        lag=_count(said.get("lag")),
        read=_count(said.get("read")),
        runs=_count(said.get("runs")),
        jobs=_count(said.get("jobs")),
        ignored=_count(said.get("ignored")),
        version=_string(said.get("version")),
        waits={what: _string(why) for what, why in waits.items()} if isinstance(waits, dict) else {},
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def merged_heartbeats(each: Iterable[tuple[int, Iterable[DaemonInfo]]]) -> tuple[DaemonInfo, ...]:
    """Of each daemon one, by id: last heard of on any shard, with the counts of all that heard of it within a lease of that;
    times are by the first one's clock.

    `each`: the time of a shard's clock, and the heartbeats there.
    """
    found: dict[str, DaemonInfo] = {}
    first_ms: int | None = None
    for now_ms, beats in each:
        first_ms = now_ms if first_ms is None else first_ms
        for one in beats:
            beat = one._replace(heard_ms=one.heard_ms + first_ms - now_ms)
            found[one.id] = _both(found[one.id], beat) if one.id in found else beat
    return tuple(found[name] for name in sorted(found))


def _both(one: DaemonInfo, other: DaemonInfo) -> DaemonInfo:
    older, newer = sorted((one, other), key=lambda beat: beat.heard_ms)
    if newer.heard_ms - older.heard_ms >= LEASE_MS:
        return newer
    counts: dict[str, Any] = {name: getattr(older, name) + getattr(newer, name) for name in _COUNTS}
    return newer._replace(covers={**older.covers, **newer.covers}, waits={**older.waits, **newer.waits}, **counts)


def read_running(registry: Registry, gaps: int = 10) -> Running:
    """Heartbeats and the last gaps, in one round trip to each shard.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    return merged_running(each_shard(registry, lambda shard: _read_running(shard, gaps)), gaps)


def merged_running(each: Sequence[Running], gaps: int) -> Running:
    """What runs on all shards; the last gaps, so many of them."""
    if len(each) == 1:
        return each[0]
    return Running(
        now_ms=each[0].now_ms,
        daemons=merged_heartbeats((one.now_ms, one.daemons) for one in each),
        gaps=tuple(merged_gaps([*one.gaps] for one in each)[-gaps:]),
        faults=tuple(fault for one in each for fault in one.faults),
        hearing={tag: ids for one in each for tag, ids in one.hearing.items()},
    )


def _read_running(registry: Registry, gaps: int) -> Running:
    pipe = registry.client.pipeline(transaction=False)
    pipe.time()
    pipe.hgetall(registry.keys.daemons)
    pipe.xrevrange(registry.keys.gaps, count=gaps)
    now, beats, entries = pipe.execute(raise_on_error=False)
    faults = []
    for key, reply in ((Keys.daemons, beats), (Keys.gaps, entries), (Keys.daemons, now)):
        if is_wrong_type(reply):
            faults.append(str(wrong_type(key, registry.keys)))
        elif isinstance(reply, Exception):
            raise reply
    return Running.on(
        registry.keys.tag,
        time_ms(now),
        () if isinstance(beats, Exception) else parse_heartbeats(beats),
        () if isinstance(entries, Exception) else parse_gaps(entries, registry.keys.tag),
        faults,
    )
