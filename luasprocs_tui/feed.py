"""Turns Redis into frozen snapshots. Knows no widget, and runs in a worker thread.

A full read inspects every sproc on the server (3 ms for each 250), so it is rationed: it comes again when the
revision or the engine changed, when it was asked for, or when twenty times its own duration has passed. Between
them one round trip asks for the revision, the engine and the counters of the rows on the screen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from luasprocs import server
from luasprocs.keys import Keys
from luasprocs.registry import Live, LiveSproc, Revision, engine_of, raw, read_live, read_sprocs, text
from luasprocs.urls import redacted
from luasprocs_tui.deeds import Deeds
from luasprocs_tui.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from redis import Redis

    from luasprocs.sproc import Sproc

T = TypeVar("T")

REST_FACTOR = 20
"""How many times its own duration a full read waits for the next: at most 5% of the server's time."""

REPLY_TIMEOUT_S = 10.0
"""A server that answers nothing for so long is lost; the header says the data's age long before."""

PIPELINE_COMMANDS = 1000
COUNTED = ("calls", "runs", "errors")
HEADER_FIELDS = ("description", "event", "key", "cron", "every", "runasync", "enabled", "library")


@dataclass(frozen=True, slots=True)
class Counters:
    """What a sproc's stats say; None where nothing was counted yet."""

    calls: int | None = None
    runs: int | None = None
    errors: int | None = None


NOTHING_COUNTED = Counters()


@dataclass(frozen=True, slots=True)
class Row:
    """One sproc in the list. `state`: ok, drift (changed by hand), edited (live, not committed), paused or disabled."""

    name: str
    trigger: str = ""
    state: str = "ok"
    description: str = ""
    counters: Counters = NOTHING_COUNTED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one moment. `problems`: sentences; `read_at_s`: of the monotonic clock."""

    revision: Revision
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    drift: tuple[str, ...]
    read_at_s: float

    @property
    def empty(self) -> bool:
        """Nothing was ever applied here."""
        return not self.revision.generation and not self.rows


@dataclass(frozen=True, slots=True)
class State:
    """What the screen shows. `server`: without its password; `error`: why the last read failed, or ""."""

    server: str
    snapshot: Snapshot | None = None
    error: str = ""


def trigger_of(fields: Mapping[str, str]) -> str:
    """What runs a sproc, in words: `set dream*`, `cron */5 * * * *`, `every 15s`, `async call`, `library`."""
    if _yes(fields.get("library", "")):
        return "library"
    kinds = []
    if "event" in fields:
        kinds.append(f"{fields['event']} {fields.get('key') or '*'}")
    kinds += [f"{kind} {fields[kind]}" for kind in ("cron", "every") if kind in fields]
    found = ", ".join(kinds) or "call"
    return f"async {found}" if _yes(fields.get("runasync", "")) else found


def state_of(fields: Mapping[str, str], *, intact: bool, edited: bool = False) -> str:
    """The state of a sproc, the worst first."""
    if not intact:
        return "drift"
    if edited:
        return "edited"
    return "disabled" if fields.get("enabled", "").strip().casefold() == "no" else "ok"


def _yes(value: str) -> bool:
    return value.strip().casefold() == "yes"


class Feed:
    """One registry, read again and again. `read` belongs to one thread; `read_sproc` and `close` to any.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first read.)
    """

    def __init__(self, url: str, namespace: str = "") -> None:
        self.server = redacted(url)
        self._keys = Keys(namespace)
        self._client = server.connect(url, socket_timeout=REPLY_TIMEOUT_S)
        self._known: dict[LiveSproc, Row] = {}
        self._last: Snapshot | None = None
        self._seen: list[Any] = []
        self._paused: frozenset[str] = frozenset()
        self._full_again_at_s = 0.0

    def read(self, visible: Sequence[str] = (), *, full: bool = False) -> Snapshot:
        """The registry now. `visible`: names whose counters matter most; `full`: inspect every sproc now.

        Raises:
            ServerError: the server doesn't answer, or refuses.
        """
        with server.errors_named(self.server):
            seen, counters = self._glance(visible)
            if full or self._last is None or seen != self._seen or time.monotonic() >= self._full_again_at_s:
                self._last = self._read_all()
            else:
                rows = tuple(replace(row, counters=counters.get(row.name, row.counters)) for row in self._last.rows)
                self._last = replace(self._last, rows=rows, read_at_s=time.monotonic())
            self._seen = seen
        return self._last

    def read_sproc(self, name: str) -> Sproc | None:
        """One sproc with its source; None when it is gone.

        Raises:
            ServerError: the server doesn't answer, or refuses.
        """
        with server.errors_named(self.server):
            found = read_sprocs(self._client, self._keys, [name])
        return found[0] if found else None

    def records(self) -> Records:
        """The executions as they come, through the same connections; for one thread."""
        return Records(self._client, self._keys, self.server)

    def ask(self, read: Callable[[Redis, Keys], T]) -> T:
        """What a reader of luasprocs finds; for any thread.

        Raises:
            ServerError, RegistryError: it could not be read.
        """
        with server.errors_named(self.server):
            return read(self._client, self._keys)

    def deeds(self) -> Deeds:
        """What can be done here."""
        return Deeds(self._client, self._keys, self.server)

    def close(self) -> None:
        """Ends what other threads are reading: a hung server must not keep the app from quitting."""
        self._client.connection_pool.disconnect(inuse_connections=True)

    def _glance(self, visible: Sequence[str]) -> tuple[list[Any], dict[str, Counters]]:
        pipe: Any = self._client.pipeline(transaction=False)
        pipe.hgetall(self._keys.revision)
        pipe.execute_command("FCALL_RO", self._keys.function("about"), 0)
        pipe.smembers(self._keys.paused)
        for name in visible:
            pipe.hmget(raw(self._keys.stats(name)), COUNTED)
        revision, about, paused, *stats = pipe.execute(raise_on_error=False)
        self._paused = frozenset() if isinstance(paused, Exception) else frozenset(map(text, paused))
        seen = [str(reply) if isinstance(reply, Exception) else reply for reply in (revision, about, paused)]
        return seen, {name: _counters(reply) for name, reply in zip(visible, stats, strict=True)}

    def _read_all(self) -> Snapshot:
        started_s = time.monotonic()
        live = read_live(self._client, self._keys, len(self._known))
        self._known = self._rows(live)
        names = [row.name for row in self._known.values()]
        stats = self._pipelined((raw(self._keys.stats(name)) for name in names), COUNTED)
        rows = [
            replace(row, counters=_counters(reply), state="paused" if row.name in self._paused else row.state)
            for row, reply in zip(self._known.values(), stats, strict=True)
        ]
        done_s = time.monotonic()
        self._full_again_at_s = done_s + REST_FACTOR * (done_s - started_s)
        return Snapshot(live.revision, tuple(rows), self._problems(live), live.drift, done_s)

    def _rows(self, live: Live) -> dict[LiveSproc, Row]:
        """Rows in the registry's order; only what is new, changed or edited by hand has its header read."""
        wanted = [one for one in live.sprocs.values() if not one.intact or one not in self._known]
        replies = self._pipelined((raw(self._keys.name(one.name)) for one in wanted), HEADER_FIELDS)
        fresh = {one: _row(one, reply) for one, reply in zip(wanted, replies, strict=True)}
        return {one: fresh.get(one) or self._known[one] for one in live.sprocs.values()}

    def _pipelined(self, keys: Iterable[bytes], fields: Sequence[str]) -> list[Any]:
        """The fields of each hash; an exception stands for a key that is none."""
        wanted, replies = list(keys), []
        for start in range(0, len(wanted), PIPELINE_COMMANDS):
            pipe = self._client.pipeline(transaction=False)
            for key in wanted[start : start + PIPELINE_COMMANDS]:
                pipe.hmget(key, fields)
            replies += pipe.execute(raise_on_error=False)
        return replies

    def _problems(self, live: Live) -> tuple[str, ...]:
        stale = "" if live.empty else live.engine_stale(engine_of(live, self._keys, live.revision.owner))
        edited = (
            f"edited by hand: {', '.join(live.drift[:5])}{', …' if len(live.drift) > 5 else ''}" if live.drift else ""
        )
        return tuple(filter(None, (*live.faults, stale, edited)))


def _row(sproc: LiveSproc, reply: Any) -> Row:
    values = () if isinstance(reply, Exception) else zip(HEADER_FIELDS, reply, strict=True)
    fields = {field: text(value) for field, value in values if value is not None}
    return Row(
        sproc.name,
        trigger_of(fields),
        state_of(fields, intact=sproc.intact, edited=bool(sproc.edit)),
        fields.get("description", ""),
    )


def _counters(reply: Any) -> Counters:
    return NOTHING_COUNTED if isinstance(reply, Exception) else Counters(*map(_count, reply))


def _count(value: bytes | None) -> int | None:
    return int(value) if value and value.isdigit() and len(value) < 20 else None
