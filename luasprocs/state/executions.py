"""What ran: the Executions and Gaps streams. docs/registry.md documents each field.

Entries that somebody else wrote are read as far as they go: a field that is missing, or no number where one is due,
has its default.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import FAILED, Status, Trigger
from luasprocs.contract.encoding import number, raw, text, texts
from luasprocs.contract.keys import Keys
from luasprocs.contract.records import EXECUTION, GAP
from luasprocs.language.globs import matcher
from luasprocs.server.reading import reading
from luasprocs.server.script_errors import readable_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from luasprocs.server.registry import Registry


TRIGGERS = tuple(one.value for one in Trigger)
STATUSES = tuple(one.value for one in Status)

START = "0-0"
"""The id before every other."""
BATCH_RECORDS = 500
"""Entries in one reply: about a millisecond of the server's time."""
BLOCK_MS = 1000
_RECENT_IDS = 1000


def _order(entry_id: str) -> tuple[int, int]:
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


@dataclass(frozen=True, slots=True)
class Execution:
    """One record. `id`: the stream's; `time_ms`: of the server's clock; `origin`: who asked, or the first event of the chain.

    `trigger`: one of TRIGGERS, `status`: one of STATUSES, if an engine wrote it. `reply` and `error` are cut at 1 kB. A gap has
    no `sproc`, and its source as `key`.
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

    @classmethod
    def parse(cls, entry_id: bytes | str, stored: Mapping[Any, Any] | None) -> Execution:
        """From an entry of the stream."""
        found, name = stored or {}, text(entry_id)
        values: list[Any] = []
        # In place of `texts`: thousands a second are read, and this takes half as long.
        for field, as_stored, is_number in _FIELDS:
            value = found.get(as_stored)
            value = found.get(field, "") if value is None else value
            value = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
            values.append(number(value) if is_number else value)
        return cls(name, _order(name)[0], *values)

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


def newest_id(registry: Registry) -> str:
    """The id of the newest record; START where there is none.

    Raises:
        RegistryError: the key is not a stream.
    """
    with reading(Keys.executions, registry.keys):
        found: list[Any] = registry.client.xrevrange(registry.keys.executions, count=1) or []
    return text(found[0][0]) if found else START


def read_executions(
    registry: Registry,
    count: int | None = 20,
    since_ms: int = 0,
    *,
    until_id: str = "+",
    wanted: RecordFilter = RecordFilter(),
) -> list[Execution]:
    """The last `count` records that are wanted (None: all), the newest last. `until_id`: the last one to look at.

    Raises:
        RegistryError: the key is not a stream.
    """
    found: list[Execution] = []
    while count is None or len(found) < count:
        size = BATCH_RECORDS if count is None or wanted else min(BATCH_RECORDS, count - len(found))
        with reading(Keys.executions, registry.keys):
            entries: list[Any] = (
                registry.client.xrevrange(registry.keys.executions, max=until_id, min=since_ms, count=size) or []
            )
        found += filter(wanted, (Execution.parse(*entry) for entry in entries))
        if len(entries) < size:
            break
        until_id = f"({text(entries[-1][0])}"
    return found[:count][::-1]


class Tail:
    """The records behind `last_id`, batch by batch. An error leaves `last_id`: the next `read` goes on from there.

    What was trimmed before it was read is passed over. A stream that started over (deleted, and a clock that went back) is
    noticed by a `read` that finds nothing, and read from its start by the next.
    """

    def __init__(self, registry: Registry, last_id: str = START) -> None:
        self.last_id = last_id
        self._registry = registry
        self._recent: deque[str] = deque([last_id], maxlen=_RECENT_IDS)

    def read(self, count: int = BATCH_RECORDS, block_ms: int | None = None) -> list[Execution]:
        """At most `count` records, the newest last. `block_ms`: how long to wait for the first.

        Raises:
            RegistryError: the key is not a stream.
        """
        key = self._registry.keys.executions
        with reading(Keys.executions, self._registry.keys):
            reply: Any = self._registry.client.xread({key: self.last_id}, count=count, block=block_ms)
            found = [Execution.parse(*entry) for _, entries in reply or () for entry in entries]
            if found:
                self.last_id = found[-1].id
                self._recent.extend(one.id for one in found)
            elif self._started_over():
                self.last_id = START
        return found

    def _started_over(self) -> bool:
        newest = newest_id(self._registry)
        # A newest one that was read before is what is left when the last one was deleted.
        return START != newest not in self._recent and _order(newest) < _order(self.last_id)


def follow(registry: Registry, last_id: str = START, *, idle: Callable[[], None] = lambda: None) -> Iterator[Execution]:
    """The records behind `last_id`, as they come, without end. `idle` is called whenever none came for a second.

    Raises:
        RegistryError: the key is not a stream.
        redis.RedisError: the connection failed; follow again from the last record's id.
    """
    tail = Tail(registry, last_id)
    timeout_s = registry.client.connection_pool.connection_kwargs.get("socket_timeout")
    # A URL's own timeout may be shorter than the wait.
    block_ms = min(BLOCK_MS, max(1, int(timeout_s * 500))) if timeout_s else BLOCK_MS
    while True:
        batch = tail.read(block_ms=block_ms)
        if not batch:
            idle()
        yield from batch


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time whose events of a source were not run. Times are of the server's clock."""

    id: str
    time_ms: int
    source: str = ""
    from_ms: int = 0
    to_ms: int = 0
    why: str = ""
    daemon: str = ""

    @classmethod
    def parse(cls, entry_id: bytes | str, stored: Mapping[Any, Any] | None) -> Gap:
        """From an entry of the stream."""
        found, name = texts(stored), text(entry_id)
        values: list[Any] = [found.get(field.name, "") for field in GAP]
        values = [number(value) if field.number else value for field, value in zip(GAP, values, strict=True)]
        return cls(name, _order(name)[0], *values)


def read_gaps(registry: Registry, count: int | None = None) -> list[Gap]:
    """The last gaps, the newest last.

    Raises:
        RegistryError: the key is not a stream.
    """
    with reading(Keys.gaps, registry.keys):
        entries: list[Any] = registry.client.xrevrange(registry.keys.gaps, count=count) or []
    return [Gap.parse(*entry) for entry in reversed(entries)]
