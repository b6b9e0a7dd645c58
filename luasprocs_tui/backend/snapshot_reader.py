"""Turns Redis into frozen snapshots.

A full read inspects every sproc on the server (3 ms for each 250), so it is rationed: it comes again when the
revision or the engine changed, when it was asked for, or when twenty times its own duration has passed. Between
them one round trip asks for the revision, the engine and the counters of the rows on the screen.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from luasprocs.contract.encoding import raw, text
from luasprocs.language.triggers import HEADER_KEYS, described, schedule_of
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import failing_in, missed_in, read_around, sprocs_of
from luasprocs.registry.edits import is_edited
from luasprocs.registry.live import LiveSproc, read_live
from luasprocs_tui.backend.rates import PulseCounter, StatsCounter
from luasprocs_tui.values.rows import Row, state_of
from luasprocs_tui.values.snapshots import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.operations.findings import Finding
    from luasprocs.operations.snapshot import SprocFacts
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from luasprocs_tui.values.rows import Counters
    from luasprocs_tui.values.snapshots import Pulse

T = TypeVar("T")

REST_FACTOR = 20
"""How many times its own duration a full read waits for the next: at most 5% of the server's time."""

PIPELINE_COMMANDS = 1000
COUNTED = (
    *(b"calls", b"runs", b"errors", b"last_run"),
    *(b"last_status", b"failed_in_a_row", b"failing_since", b"last_error", b"last_missed"),
)
HEADER_FIELDS = ("description", *HEADER_KEYS, "runasync", "enabled", "library", "commit")


class SnapshotReader:
    """One registry, read again and again; for one thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[LiveSproc, Row] = {}
        self._last: Snapshot | None = None
        self._seen: list[Any] = []
        self._paused: frozenset[str] = frozenset()
        self._edited: dict[str, str] = {}
        self._sprocs: SprocFacts | None = None
        self._full_again_at_s = 0.0
        self._pulse = PulseCounter()
        self._stats = StatsCounter()

    def read(self, visible: Sequence[str] = (), *, full: bool = False) -> Snapshot:
        """The registry now. `visible`: names whose counters matter most; `full`: inspect every sproc now.

        Raises:
            ServerError, redis.RedisError: the server doesn't answer, or refuses.
        """
        seen, counters, pulse = self._glance(visible)
        if full or self._last is None or seen != self._seen or time.monotonic() >= self._full_again_at_s:
            self._last = self._read_all(counters)
        else:
            rows = tuple(
                replace(row, counters=counters[row.name]) if row.name in counters else row for row in self._last.rows
            )
            self._last = replace(self._last, rows=rows, read_at_s=time.monotonic())
        self._last = replace(self._last, pulse=pulse, findings=self._findings())
        self._seen = seen
        return self._last

    def _findings(self) -> tuple[Finding, ...]:
        assert self._sprocs is not None  # noqa: S101  # read before
        stats = self._stats.known
        sprocs = replace(self._sprocs, failing=failing_in(stats), missed=missed_in(stats))
        return findings(read_around(self._registry, sprocs))

    def _glance(self, visible: Sequence[str]) -> tuple[list[Any], dict[str, Counters], Pulse | None]:
        pipe: Any = self._registry.client.pipeline(transaction=False)
        pipe.hgetall(self._registry.keys.revision)
        pipe.execute_command("FCALL_RO", self._registry.keys.function("about"), 0)
        pipe.smembers(self._registry.keys.paused)
        pipe.time()
        pipe.hgetall(self._registry.keys.daemons)
        pipe.xlen(self._registry.keys.gaps)
        pipe.xinfo_stream(self._registry.keys.executions)
        for name in visible:
            pipe.hgetall(raw(self._registry.keys.stats(name)))
        revision, about, paused, now, beats, gaps, stream, *stats = pipe.execute(raise_on_error=False)
        self._paused = frozenset() if isinstance(paused, Exception) else frozenset(map(text, paused))
        seen = [str(reply) if isinstance(reply, Exception) else reply for reply in (revision, about, paused)]
        counters = {name: self._stats.look(name, reply) for name, reply in zip(visible, stats, strict=True)}
        return seen, counters, self._pulse.look(now, beats, gaps, stream)

    def _read_all(self, counters: Mapping[str, Counters]) -> Snapshot:
        started_s = time.monotonic()
        live = read_live(self._registry, len(self._known))
        self._known = self._rows(live)
        names = [row.name for row in self._known.values()]
        counted = {**self._counted([name for name in names if name not in counters]), **counters}
        self._stats.keep(names)
        self._sprocs = sprocs_of(self._registry, live, self._stats.known)
        rows = [
            replace(row, counters=counted[row.name], state="paused" if row.name in self._paused else row.state)
            for row in self._known.values()
        ]
        done_s = time.monotonic()
        self._full_again_at_s = done_s + REST_FACTOR * (done_s - started_s)
        longest = (max(names, key=len, default=""), max((row.trigger for row in rows), key=len, default=""))
        return Snapshot(live.revision, tuple(rows), done_s, longest)

    def _counted(self, names: Sequence[str]) -> dict[str, Counters]:
        """Of every sproc the counts; durations too once the list stands, of those that have run."""
        keys = [raw(self._registry.keys.stats(name)) for name in names]
        replies = [_fields(COUNTED, reply) for reply in self._pipelined(keys, COUNTED)]
        if self._last is not None:
            ran = [at for at, reply in enumerate(replies) if isinstance(reply, dict) and reply.get(b"runs")]
            for at, reply in zip(ran, self._pipelined([keys[at] for at in ran]), strict=True):
                replies[at] = reply
        return {name: self._stats.look(name, reply) for name, reply in zip(names, replies, strict=True)}

    def _rows(self, live: Live) -> dict[LiveSproc, Row]:
        """Rows in the registry's order; only what is new, changed or edited by hand has its header read."""
        wanted = [one for one in live.sprocs.values() if not one.intact or one not in self._known]
        replies = self._pipelined([raw(self._registry.keys.name(one.name)) for one in wanted], HEADER_FIELDS)
        for one, reply in zip(wanted, replies, strict=True):
            if is_edited(one):
                known = _fields(HEADER_FIELDS, reply, {})
                self._edited.setdefault(one.name, text(known.get("commit", b"")))
        fresh = {one: self._row(one, reply) for one, reply in zip(wanted, replies, strict=True)}
        return {one: fresh.get(one) or self._known[one] for one in live.sprocs.values()}

    def _row(self, sproc: LiveSproc, reply: Any) -> Row:
        fields = {field: text(value) for field, value in _fields(HEADER_FIELDS, reply, {}).items()}
        return Row(
            sproc.name,
            described(fields),
            state_of(fields, intact=sproc.intact, edited=is_edited(sproc)),
            fields.get("description", ""),
            schedule=schedule_of(fields),
            commit=self._committed(sproc, fields.get("commit", "")),
        )

    def _committed(self, sproc: LiveSproc, commit: str) -> str:
        """The commit that an edit which was seen here has become; "" where there is none, or it was taken back."""
        before = None if is_edited(sproc) else self._edited.get(sproc.name)
        return commit if before is not None and commit != before else ""

    def _pipelined(self, keys: Sequence[bytes], fields: Sequence[str | bytes] = ()) -> list[Any]:
        """The fields of each hash, all for none named; an exception stands for a key that is none."""
        replies = []
        for start in range(0, len(keys), PIPELINE_COMMANDS):
            pipe = self._registry.client.pipeline(transaction=False)
            for key in keys[start : start + PIPELINE_COMMANDS]:
                if fields:
                    pipe.hmget(key, fields)
                else:
                    pipe.hgetall(key)
            replies += pipe.execute(raise_on_error=False)
        return replies


def _fields(names: Sequence[T], reply: Any, otherwise: Any = None) -> Any:
    """A reply of HMGET as a dictionary of what there is; an error as it is, or `otherwise`."""
    if isinstance(reply, Exception):
        return reply if otherwise is None else otherwise
    return {name: value for name, value in zip(names, reply, strict=True) if value is not None}
