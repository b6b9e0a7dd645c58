"""Turns Redis into frozen snapshots.

Each look is one round trip: revision, engine, what runs and waits, counters of the rows on the screen, and in turn those of
the others. A full read inspects every sproc on the server (3 ms for each 250), so it is rationed: it comes again when the
revision, the engine or what is paused changed, when it was asked for, or when some looks and twenty times its own duration
have passed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from luasprocs.contract.codes import FindingCode
from luasprocs.contract.encoding import raw, text
from luasprocs.contract.metadata import KEYS
from luasprocs.language.metadata import says_yes
from luasprocs.language.triggers import HEADER_KEYS, described, schedule_of
from luasprocs.operations.acknowledgeable import unknown_after_ms, until_ms
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import away_shards, failing_in, missed_in, read_beside, sprocs_of
from luasprocs.registry.edits import is_edited
from luasprocs.registry.live import LiveSproc, read_live
from luasprocs.server.reading import raise_refusals
from luasprocs.server.shards import each_shard, reached
from luasprocs.state.stats import summed
from luasprocs_tui.backend.around import DeadJobsReader, SlowSince, counts_of, with_around
from luasprocs_tui.backend.missed_times import MissedTimes
from luasprocs_tui.backend.rates import PulseCounter, StatsCounter
from luasprocs_tui.values.rows import Row, state_of
from luasprocs_tui.values.snapshots import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from luasprocs.operations.snapshot import ShardFacts, SprocFacts
    from luasprocs.operations.snapshot import Snapshot as Around
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from luasprocs.state.jobs import DeadJobs
    from luasprocs_tui.values.rows import Counters

T = TypeVar("T")

REST_FACTOR = 20
"""How many times its own duration a full read waits for the next: at most 5% of the server's time."""

FULL_AFTER_LOOKS = 5
"""So many looks pass between two at least: they alone see what was changed by hand, and durations of rows out of sight."""
IN_TURN = 100
"""Sprocs out of sight whose counts are read at each look."""

PIPELINE_COMMANDS = 1000
COUNTED = (
    *(b"calls", b"call_errors", b"runs", b"errors", b"duration_us_total", b"calls_us_total", b"last_run"),
    *(b"last_status", b"failed_in_a_row", b"failing_since", b"last_error", b"missed", b"last_missed"),
)
HEADER_FIELDS = ("description", *HEADER_KEYS, "runasync", "enabled", "library", "catchup", "misfire", "commit")


class SnapshotReader:
    """One registry, read again and again; for one thread. `registry` gives another one if shards came or went."""

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._open = registry
        self._whole: Registry | None = None
        self._registry: Registry | None = None
        self._known: dict[LiveSproc, Row] = {}
        self._last: Snapshot | None = None
        self._seen: list[Any] = []
        self._paused: frozenset[str] = frozenset()
        self._edited: dict[str, str] = {}
        self._in_workers: set[str] = set()
        self._sprocs: SprocFacts | None = None
        self._full_again_at_s = 0.0
        self._looks = self._turn = 0
        self._pulse = PulseCounter()
        self._stats = StatsCounter()
        self._dead, self._slow = DeadJobsReader(), SlowSince()
        self._missed = MissedTimes()

    def there(self) -> Registry:
        """The registry with those shards that answered when it was read last; with all as long as it wasn't."""
        whole = self._open()
        return self._registry if self._registry is not None and self._whole is whole else whole

    def read(self, visible: Sequence[str] = (), *, full: bool = False) -> Snapshot:
        """The registry now. `visible`: names whose counters matter most; `full`: inspect every sproc now.

        Raises:
            ServerError, redis.RedisError: the server doesn't answer, or refuses.
        """
        whole = self._open()
        registry, away = reached(whole)
        shards = away_shards(whole, away)
        others = self._in_turn(visible)
        around, replies = read_beside(registry, lambda pipe, shard: _ask(pipe, shard, visible, others))
        looks = [_Replies.of(each, others) for each in replies]
        stats = zip(*(one.stats for one in looks), strict=True)
        counters = {
            name: self._look(registry, name, each) for name, each in zip((*visible, *others), stats, strict=True)
        }
        self._paused = frozenset(one.name for one in around.paused)
        seen = [self._paused, *(said for one in looks for said in (one.revision, one.about))]
        if self._registry is None or self._whole is not whole or registry.shards != self._registry.shards:
            full, self._whole, self._registry = True, whole, registry
        if full or self._last is None or seen != self._seen or self._due():
            self._last = self._read_all(registry, {name: counters[name] for name in visible}, shards)
        else:
            rows = tuple(
                row._replace(counters=counters[row.name]) if row.name in counters else row for row in self._last.rows
            )
            self._last = self._last._replace(rows=rows, read_at_s=time.monotonic())
        dead = self._dead.read(registry, around.dead_jobs)
        self._last = self._with(self._last, around, [one.stream for one in looks], dead)
        self._seen = seen
        self._looks += 1
        return self._last

    def _due(self) -> bool:
        return self._looks >= FULL_AFTER_LOOKS and time.monotonic() >= self._full_again_at_s

    def _in_turn(self, visible: Sequence[str]) -> list[str]:
        """Those out of sight that are looked at now."""
        rows = self._last.rows if self._last else ()
        begin = self._turn if self._turn < len(rows) else 0
        self._turn = begin + IN_TURN
        seen = set(visible)
        return [row.name for row in rows[begin : self._turn] if row.name not in seen]

    def _with(self, last: Snapshot, around: Around, streams: Sequence[Any], dead: Mapping[str, DeadJobs]) -> Snapshot:
        """The sprocs that were read last, with what stands beside them now."""
        assert self._sprocs is not None  # noqa: S101  # read before
        stats = self._stats.known
        sprocs = replace(self._sprocs, failing=failing_in(stats), missed=missed_in(stats))
        around = replace(around, sprocs=sprocs)
        rows = self._slow.look(with_around(last.rows, around, stats, dead), around.running.now_ms)
        pulse = self._pulse.look(around.running, streams)
        return last._replace(
            rows=rows,
            pulse=pulse._replace(errors_per_s=self._pulse.errors(rows)),
            findings=findings(around),
            counts=counts_of(around),
            running=around.running,
            missed=sprocs.missed,
            due_ms=self._missed.read(self.there(), sprocs.missed),
            sources=sprocs.live.triggers,
            to_acknowledge=until_ms(around),
            seen_ms=(unknown_after_ms(around, FindingCode.GAP), unknown_after_ms(around, FindingCode.MISSED)),
        )

    def _read_all(self, registry: Registry, counters: Mapping[str, Counters], away: Sequence[ShardFacts]) -> Snapshot:
        started_s = time.monotonic()
        live = read_live(registry, len(self._known))
        self._known = self._rows(registry, live)
        names = [row.name for row in self._known.values()]
        counted = {**self._counted(registry, [name for name in names if name not in counters]), **counters}
        self._stats.keep(names)
        self._sprocs = sprocs_of(registry, live, self._stats.known, away, before=self._sprocs)
        rows = [
            row._replace(counters=counted[row.name], state="paused" if row.name in self._paused else row.state)
            for row in self._known.values()
        ]
        done_s = time.monotonic()
        self._full_again_at_s = done_s + REST_FACTOR * (done_s - started_s)
        self._looks = 0 if self._last else FULL_AFTER_LOOKS  # the first one has no durations
        longest = (max(names, key=len, default=""), max((row.trigger for row in rows), key=len, default=""))
        return Snapshot(live.revision, tuple(rows), done_s, longest, shards=self._sprocs.shards)

    def _counted(self, registry: Registry, names: Sequence[str]) -> dict[str, Counters]:
        """Of every sproc the counts; durations too once the list stands, of those that have run."""
        known = self._stats.known if self._last else {}
        ran = {name for name in names if name in known and known[name].runs}

        def read(shard: Registry) -> list[Any]:
            stats = [(raw(shard.keys.stats(name)), () if name in ran else COUNTED) for name in names]
            return [_fields(COUNTED, reply) for reply in _pipelined(shard, stats)]

        each = zip(names, *each_shard(registry, read), strict=True)
        return {name: self._look(registry, name, replies) for name, *replies in each}

    def _look(self, registry: Registry, name: str, replies: Sequence[Any]) -> Counters:
        return self._stats.look(name, summed(replies), 0 if name in self._in_workers else len(registry.shards))

    def _rows(self, registry: Registry, live: Live) -> dict[LiveSproc, Row]:
        """Rows in the registry's order; only what is new, changed or edited by hand has its header read."""
        wanted = [one for one in live.sprocs.values() if not one.intact or one not in self._known]
        replies = _pipelined(registry, [(raw(registry.keys.name(one.name)), HEADER_FIELDS) for one in wanted])
        for one, reply in zip(wanted, replies, strict=True):
            if is_edited(one):
                known = _fields(HEADER_FIELDS, reply, {})
                self._edited.setdefault(one.name, text(known.get("commit", b"")))
        fresh = {one: self._row(one, reply) for one, reply in zip(wanted, replies, strict=True)}
        return {one: fresh.get(one) or self._known[one] for one in live.sprocs.values()}

    def _row(self, sproc: LiveSproc, reply: Any) -> Row:
        fields = {field: text(value) for field, value in _fields(HEADER_FIELDS, reply, {}).items()}
        (self._in_workers.add if says_yes(fields, "runasync") else self._in_workers.discard)(sproc.name)
        return Row(
            sproc.name,
            described(fields),
            state_of(fields, intact=sproc.intact, edited=is_edited(sproc)),
            fields.get("description", ""),
            schedule=schedule_of(fields),
            commit=self._committed(sproc, fields.get("commit", "")),
            asynchronous=says_yes(fields, "runasync"),
            misfire=fields.get("misfire", "").lower() or KEYS["misfire"].default(fields),
            catches_up=fields.get("catchup", "").lower() == "scan",
        )

    def _committed(self, sproc: LiveSproc, commit: str) -> str:
        """The commit that an edit which was seen here has become; "" where there is none, or it was taken back."""
        before = None if is_edited(sproc) else self._edited.get(sproc.name)
        return commit if before is not None and commit != before else ""


class _Replies(NamedTuple):
    """What one shard says, errors too. `stream`: what is known of the records."""

    revision: Any
    about: Any
    stream: Any
    stats: list[Any]

    @classmethod
    def of(cls, replies: Sequence[Any], others: Sequence[str]) -> Self:
        """From the replies to `_ask`; the counts of `others` are the last."""
        (revision, about, stream), stats = replies[:3], replies[3:]
        raise_refusals(stats)
        counts = len(stats) - len(others)
        revision, about = (str(one) if isinstance(one, Exception) else one for one in (revision, about))
        return cls(revision, about, stream, [*stats[:counts], *(_fields(COUNTED, one) for one in stats[counts:])])


def _ask(pipe: Any, shard: Registry, visible: Sequence[str], others: Sequence[str]) -> None:
    pipe.hgetall(shard.keys.revision)
    pipe.execute_command("FCALL_RO", *shard.words("about"))
    pipe.xinfo_stream(shard.keys.executions)
    _queue(pipe, [(raw(shard.keys.stats(name)), ()) for name in visible])
    _queue(pipe, [(raw(shard.keys.stats(name)), COUNTED) for name in others])


_Hash = tuple[bytes, "Sequence[str | bytes]"]
"""A key, and the fields that are wanted: all for none named."""


def _queue(pipe: Any, hashes: Sequence[_Hash]) -> None:
    for key, fields in hashes:
        pipe.hmget(key, fields) if fields else pipe.hgetall(key)


def _pipelined(shard: Registry, hashes: Sequence[_Hash]) -> list[Any]:
    """Each hash; an exception stands for a key that is none. Raises any other."""
    replies = []
    for start in range(0, len(hashes), PIPELINE_COMMANDS):
        pipe = shard.client.pipeline(transaction=False)
        _queue(pipe, hashes[start : start + PIPELINE_COMMANDS])
        replies += pipe.execute(raise_on_error=False)
    raise_refusals(replies)
    return replies


def _fields(names: Sequence[T], reply: Any, otherwise: Any = None) -> Any:
    """A reply of HMGET as a dictionary of what there is; one of HGETALL as it is, an error too, or `otherwise`."""
    if isinstance(reply, Exception):
        return reply if otherwise is None else otherwise
    if isinstance(reply, dict):
        return reply
    return {name: value for name, value in zip(names, reply, strict=True) if value is not None}
