"""What ran: the Executions and Gaps streams. docs/registry.md documents each field.

Entries that somebody else wrote are read as far as they go: a field that is missing, or no number where one is due,
has its default.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from luasprocs.contract.codes import FAILED, Status, Trigger
from luasprocs.contract.encoding import number, raw, text, texts
from luasprocs.contract.keys import Keys
from luasprocs.contract.records import EXECUTION, GAP
from luasprocs.language.globs import matcher
from luasprocs.server.readable_errors import readable_error
from luasprocs.server.reading import reading
from luasprocs.server.shards import each_shard, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.server.registry import Registry


TRIGGERS = tuple(one.value for one in Trigger)
STATUSES = tuple(one.value for one in Status)

START = "0-0"
"""The id before every other."""
BATCH_RECORDS = 500
"""Entries in one reply: about a millisecond of the server's time."""


def order_of(entry_id: str) -> tuple[int, int]:
    """What a stream sorts by."""
    time_ms, _, sequence = entry_id.partition("-")
    return int(time_ms), int(sequence or 0)


def time_text(time_ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond: `2026-01-31T12:00:00.000Z`; `?` for a time that no calendar has."""
    try:
        found = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "?"
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Execution(NamedTuple):
    """One record. `id`: the stream's; `time_ms`: of the server's clock; `origin`: who asked, or the first event of the chain.

    `trigger`: one of TRIGGERS, `status`: one of STATUSES, if an engine wrote it. `reply` and `error` are cut at 1 kB. A gap has
    no `sproc`, and its source as `key`. `shard`: the tag of its shard in a cluster.
    """

    id: str
    time_ms: int
    sproc: str = ""
    trigger: str = ""
    key: str = ""
    event: str = ""
    origin: str = ""
    depth: int = 0
    status: str = ""
    duration_us: int = 0
    reply: str = ""
    error: str = ""
    commit: str = ""
    daemon: str = ""
    shard: str = ""

    @classmethod
    def parse(cls, entry_id: bytes | str, stored: Mapping[Any, Any] | None, shard: str = "") -> Execution:
        """From an entry of the stream."""
        found, name = stored or {}, text(entry_id)
        values: list[Any] = []
        # In place of `texts`: thousands a second are read, and this takes half as long.
        for field, as_stored, is_number in _FIELDS:
            value = found.get(as_stored)
            value = found.get(field, "") if value is None else value
            value = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
            values.append(number(value) if is_number else value)
        return cls(name, order_of(name)[0], *(*values, shard))

    @property
    def failed(self) -> bool:
        """Whether it did not do what it should have done."""
        return self.status in FAILED

    @property
    def said(self) -> str:
        """The error, its place before the message, or the reply."""
        return readable_error(self.error) or self.reply

    @property
    def duration_ms_text(self) -> str:
        """Milliseconds to the microsecond: `0.041`."""
        return f"{self.duration_us // 1000}.{self.duration_us % 1000:03}"


_FIELDS = tuple((one.name, one.name.encode(), one.number) for one in EXECUTION)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records are wanted; an empty tuple wants all. `sprocs`: names or Redis globs."""

    sprocs: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sprocs or self.triggers or self.statuses)

    def __call__(self, execution: Execution) -> bool:
        """Whether a record is wanted."""
        return (
            (not self.triggers or execution.trigger in self.triggers)
            and (not self.statuses or execution.status in self.statuses)
            and (not self.sprocs or any(self._named(one, execution.sproc) for one in self.sprocs))
        )

    @staticmethod
    def _named(wanted: str, name: str) -> bool:
        # A name may hold what a glob means otherwise.
        return wanted == name or bool(matcher(raw(wanted))(raw(name)))


Positions: TypeAlias = Mapping[str, str]
"""The tag of each shard to the id of a record there; of a single server the tag is ""."""


def newest_id(registry: Registry) -> str:
    """The id of the newest record of one shard; START where there is none.

    Raises:
        RegistryError: the key is not a stream.
    """
    with reading(Keys.executions, registry.keys):
        found: list[Any] = registry.client.xrevrange(registry.keys.executions, count=1) or []
    return text(found[0][0]) if found else START


def newest_ids(registry: Registry) -> dict[str, str]:
    """The same of each shard."""
    return dict(zip(tags_of(registry), each_shard(registry, newest_id), strict=True))


def read_executions(
    registry: Registry,
    count: int | None = 20,
    since_ms: int = 0,
    *,
    until: Positions | None = None,
    wanted: RecordFilter = RecordFilter(),
) -> list[Execution]:
    """The last `count` records that are wanted (None: all), the newest last. `until`: the last ones to look at.

    Raises:
        RegistryError: the key is not a stream.
    """

    def read(shard: Registry) -> list[Execution]:
        return _read(shard, count, since_ms, (until or {}).get(shard.keys.tag, "+"), wanted)

    found = merged(each_shard(registry, read))
    return found if count is None else found[max(0, len(found) - count) :]


def merged(each: Iterable[list[Execution]]) -> list[Execution]:
    """Records of several shards by time; each shard's stay in their order."""
    first, *others = each
    return list(heapq.merge(first, *others, key=lambda one: order_of(one.id))) if others else first


def _read(shard: Registry, count: int | None, since_ms: int, until_id: str, wanted: RecordFilter) -> list[Execution]:
    found: list[Execution] = []
    while count is None or len(found) < count:
        size = BATCH_RECORDS if count is None or wanted else min(BATCH_RECORDS, count - len(found))
        with reading(Keys.executions, shard.keys):
            entries: list[Any] = (
                shard.client.xrevrange(shard.keys.executions, max=until_id, min=since_ms, count=size) or []
            )
        found += filter(wanted, (Execution.parse(entry, fields, shard.keys.tag) for entry, fields in entries))
        if len(entries) < size:
            break
        until_id = f"({text(entries[-1][0])}"
    return found[:count][::-1]


class Gap(NamedTuple):
    """A stretch of time whose events of a source were not run, or, of `kind` `repeat`, of some slots may have run twice.

    Times are of the server's clock. `shard`: as of an `Execution`.
    """

    id: str
    time_ms: int
    source: str = ""
    from_ms: int = 0
    to_ms: int = 0
    why: str = ""
    daemon: str = ""
    kind: str = ""
    slots: str = ""
    events: int = 0
    shard: str = ""

    @classmethod
    def parse(cls, entry_id: bytes | str, stored: Mapping[Any, Any] | None, shard: str = "") -> Gap:
        """From an entry of the stream."""
        found, name = texts(stored), text(entry_id)
        values: list[Any] = [found.get(field.name, "") for field in GAP]
        values = [number(value) if field.number else value for field, value in zip(GAP, values, strict=True)]
        return cls(name, order_of(name)[0], *(*values, shard))


def read_gaps(registry: Registry, count: int | None = None) -> list[Gap]:
    """The last gaps, the newest last.

    Raises:
        RegistryError: the key is not a stream.
    """

    def read(shard: Registry) -> list[Gap]:
        with reading(Keys.gaps, shard.keys):
            return parse_gaps(shard.client.xrevrange(shard.keys.gaps, count=count), shard.keys.tag)

    found = merged_gaps(each_shard(registry, read))
    return found if count is None else found[max(0, len(found) - count) :]


def parse_gaps(newest_first: Any, shard: str = "") -> list[Gap]:
    """From entries as XREVRANGE replies; the newest last."""
    return [Gap.parse(entry, fields, shard) for entry, fields in reversed(newest_first or [])]


def merged_gaps(each: Iterable[list[Gap]]) -> list[Gap]:
    """Gaps of several shards by time."""
    return list(heapq.merge(*each, key=lambda one: order_of(one.id)))
