"""Reads the registry: what is live in Redis, and whether it is whole. docs/registry.md documents each key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.contract.records import DIGESTED
from luasprocs.engine import Engine, render
from luasprocs.language.sproc import Sproc
from luasprocs.server.info import ServerInfo, parse_info
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


TRIGGERS_DIGEST = ""
"""Where the digests' hash keeps that of the triggers; no sproc has this name."""
INSPECT_CHUNK = 250
"""Sprocs that one call of the engine inspects: about 3 ms of the server's time."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What is applied.

    `applied_at`: ISO 8601, UTC; `engine`: its version; `pinned`: the commit that a rollback left, or "".

    `defaults`: the metadata defaults that were merged into the sprocs, as JSON, or "".
    """

    commit: str = ""
    branch: str = ""
    generation: int = 0
    applied_at: str = ""
    applied_by: str = ""
    owner: str = ""
    engine: int = 0
    pinned: str = ""
    defaults: str = ""

    def fields(self) -> dict[str, str]:
        """As stored."""
        return {name: str(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def parse(cls, stored: Mapping[Any, Any]) -> Revision:
        """From the hash; what isn't there, or is no number where one is due, has its default."""
        found: dict[str, Any] = {text(name): text(value) for name, value in stored.items()}
        for name in ("generation", "engine"):
            found[name] = _number(found.get(name, ""))
        return cls(**{name: value for name, value in found.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class About:
    """What the loaded engine says of itself; `generation` is that of the registry that it compiled from."""

    version: int
    owner: str
    db: str
    namespace: str
    text_id: str
    generation: str


@dataclass(frozen=True, slots=True)
class LiveSproc:
    """One sproc as the list names it; `intact`: its hash is as it was applied; `edit`: of a live edit, see luasprocs.editing."""

    name: str
    blob: str
    intact: bool
    edit: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The registry at one moment. `faults`: what is wrong with its single keys, as sentences; none when it is whole."""

    revision: Revision
    about: About | None
    sprocs: Mapping[str, LiveSproc]
    info: ServerInfo
    triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    last_generation: int = 0

    @property
    def drift(self) -> tuple[str, ...]:
        """Names whose hash is not as it was applied, sorted."""
        return tuple(sorted(name for name, sproc in self.sprocs.items() if not sproc.intact))

    @property
    def empty(self) -> bool:
        """Nothing was ever applied here."""
        return not self.revision.generation and not self.sprocs

    def engine_stale(self, engine: Engine) -> str:
        """Why the loaded engine isn't the one that this registry needs, or ""."""
        if self.about is None:
            return "the engine is not loaded"
        if self.about.text_id != engine.id:
            return "the engine is another version"
        if self.about.generation != str(self.revision.generation):
            return f"the engine runs generation {self.about.generation or 'none'}, not {self.revision.generation}"
        return ""


def _number(value: str) -> int:
    return int(value) if value.isdecimal() else 0


_FIELDS = tuple(name.encode() for name in DIGESTED)


def digest(fields: Mapping[bytes, bytes]) -> str:
    """The SHA1 that says whether a sproc's hash is as it was applied; about.lua computes the same."""
    parts = [part for name in _FIELDS if name in fields for part in (name, fields[name])]
    if len(parts) < 2 * len(fields):
        parts += sorted(_sha1(name + b"\0" + fields[name]).encode() for name in fields.keys() - set(_FIELDS))
    return _sha1(b"\0".join(parts))


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def fields_of(sproc: Sproc) -> dict[bytes, bytes]:
    """A sproc as its hash stores it."""
    fields = {key.encode(): value.encode("utf-8", "surrogateescape") for key, value in sproc.values.items()}
    fields[b"source"] = sproc.source
    if sproc.edit:
        fields[b"edit"] = raw(sproc.edit)
    fields[b"sha"], fields[b"blob"], fields[b"commit"] = sproc.sha.encode(), raw(sproc.blob), raw(sproc.commit)
    return fields


def sproc_of(name: str, stored: Mapping[bytes, bytes]) -> Sproc:
    """A sproc from its hash."""
    texts = {text(key): value for key, value in stored.items()}
    source = texts.pop("source", b"")
    own = {key: text(texts.pop(key, b"")) for key in ("sha", "blob", "commit", "edit")}
    values = {key: text(value) for key, value in texts.items()}
    return Sproc(name, source, own["blob"], values, own["commit"], own["edit"])


def read_live(registry: Registry, expected: int = 0) -> Live:
    """Reads the registry in one round trip, if it holds about as many sprocs as `expected`.

    Raises:
        redis.RedisError: the connection, the password or a right failed (`luasprocs.server.errors_named` names it).
    """
    pipe = registry.client.pipeline(transaction=False)
    pipe.info("everything")
    pipe.hgetall(registry.keys.revision)
    pipe.execute_command("FCALL_RO", registry.keys.function("about"), 0)
    pipe.llen(registry.keys.list)
    pipe.hgetall(registry.keys.triggers)
    pipe.xrevrange(registry.keys.history, count=1)
    for key, _ in _typed(registry.keys):
        pipe.type(key)
    pipe.hget(registry.keys.digests, TRIGGERS_DIGEST)
    chunks = max(1, -(-expected // INSPECT_CHUNK))
    _queue_inspect(pipe, registry.keys, range(chunks))
    replies = pipe.execute(raise_on_error=False)
    _raise_other(replies)
    ahead = 7 + len(_typed(registry.keys))
    live, length = _live(registry, replies[:ahead]), replies[3]
    if live.about is None:
        return _with(live, registry.keys, *_read_without_engine(registry))
    found = replies[ahead:]
    missing = range(chunks, -(-length // INSPECT_CHUNK)) if isinstance(length, int) else range(0)
    if missing:
        more = registry.client.pipeline(transaction=False)
        _queue_inspect(more, registry.keys, missing)
        found += more.execute()
    return _with(live, registry.keys, inspected(found), [name for reply in found for name in reply[::3]])


def reread(registry: Registry, live: Live) -> Live | None:
    """What was live, if the revision and the engine are still the same; sprocs are not looked at. One small round trip."""
    pipe = registry.client.pipeline(transaction=False)
    pipe.info("everything")
    pipe.hgetall(registry.keys.revision)
    pipe.execute_command("FCALL_RO", registry.keys.function("about"), 0)
    info, revision, about = pipe.execute(raise_on_error=False)
    _raise_other((info, revision, about))
    if isinstance(revision, Exception) or isinstance(about, Exception):
        return None
    same = (Revision.parse(revision), _about(about)) == (live.revision, live.about)
    return replace(live, info=parse_info(info, db=live.info.db)) if same else None


def _queue_inspect(pipe: Any, keys: Keys, chunks: Iterable[int]) -> None:
    for chunk in chunks:
        start = chunk * INSPECT_CHUNK
        pipe.execute_command("FCALL_RO", keys.function("inspect"), 0, start, start + INSPECT_CHUNK - 1)


def _raise_other(replies: Sequence[Any]) -> None:
    """A key of the wrong type or a missing engine is this module's business; any other error is the caller's."""
    for reply in replies:
        known = isinstance(reply, ResponseError) and ("WRONGTYPE" in str(reply) or "unction not found" in str(reply))
        if isinstance(reply, Exception) and not known:
            raise reply


def _typed(keys: Keys) -> tuple[tuple[str, str], ...]:
    """Keys that are asked for their type alone."""
    return (
        *((keys.blobs, "hash"), (keys.replaced, "zset"), (keys.digests, "hash"), (keys.events, "hash")),
        *((keys.paused, "set"), (keys.daemons, "hash"), (keys.gaps, "stream"), (keys.catchups, "hash")),
        *((keys.executions, "stream"), (keys.scheduled, "hash"), (keys.unrecorded, "list"), (keys.running, "hash")),
        *((keys.jobs, "stream"), (keys.delayed, "zset"), (keys.dead, "stream")),
    )


def _live(registry: Registry, replies: Sequence[Any]) -> Live:
    info, revision, about, length, triggers, last, *types, triggers_digest = replies
    faults = [
        f"{key} is not a {kind}"
        for key, kind, reply in (
            (registry.keys.revision, "hash", revision),
            (registry.keys.list, "list", length),
            (registry.keys.triggers, "hash", triggers),
            (registry.keys.history, "stream", last),
        )
        if isinstance(reply, ResponseError)
    ]
    faults += [
        f"{key} is not a {kind}"
        for (key, kind), found in zip(_typed(registry.keys), types, strict=True)
        if found not in (kind.encode(), b"none")
    ]
    kinds = {key: found for (key, _), found in zip(_typed(registry.keys), types, strict=True)}
    if kinds[registry.keys.blobs] == b"none" != kinds[registry.keys.replaced]:
        faults.append(
            f"{registry.keys.replaced} is not a zset of sources that are kept: {registry.keys.blobs} is gone, "
            "which rollback needs"
        )
    if not isinstance(revision, Exception) and revision and last == []:
        faults.append(f"{registry.keys.history} is not a stream any more: it is gone, which rollback needs")
    if not faults and digest(triggers).encode() != (triggers_digest or digest({}).encode()):
        faults.append(f"{registry.keys.triggers} is not a hash as it was applied")
    db = registry.client.connection_pool.connection_kwargs.get("db") or 0
    return Live(
        revision=Revision() if isinstance(revision, Exception) else Revision.parse(revision),
        about=None if isinstance(about, Exception) else _about(about),
        sprocs={},
        info=parse_info(info, db=int(db)),
        triggers={} if isinstance(triggers, Exception) else _names_by_source(triggers),
        faults=tuple(faults),
        last_generation=0
        if isinstance(last, Exception) or not last
        else _number(text(last[0][1].get(b"generation", b""))),
    )


def _about(reply: Sequence[Any]) -> About:
    version, *rest = reply
    return About(int(version), *(text(part) for part in rest))


def _names_by_source(stored: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    return {text(source): tuple(text(names).split("\n")) for source, names in stored.items()}


def inspected(replies: Iterable[Any]) -> dict[str, LiveSproc]:
    """Sprocs by name, from replies of the engine's inspect and verify."""
    found: dict[str, LiveSproc] = {}
    for reply in replies:
        for name, blob, intact in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
            edit = text(intact) if isinstance(intact, bytes | str) else ""
            found[text(name)] = LiveSproc(text(name), text(blob), intact == 1 or bool(edit), edit)
    return found


def _read_without_engine(registry: Registry) -> tuple[dict[str, LiveSproc], list[bytes]]:
    """The same by reading every hash, and the list: what a registry whose engine is gone costs."""
    pipe = registry.client.pipeline(transaction=False)
    pipe.lrange(registry.keys.list, 0, -1)
    pipe.hgetall(registry.keys.digests)
    names, digests = pipe.execute(raise_on_error=False)
    if isinstance(names, Exception) or not names:
        return {}, []
    pipe = registry.client.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(raw(registry.keys.name(text(name))))
    found = {}
    for name, fields in zip(names, pipe.execute(raise_on_error=False), strict=True):
        whole = not isinstance(fields, Exception) and not isinstance(digests, Exception)
        intact = whole and digests.get(name, b"") == digest(fields).encode()
        blob = "" if isinstance(fields, Exception) else text(fields.get(b"blob", b""))
        edit = "" if isinstance(fields, Exception) else text(fields.get(b"edit", b""))
        found[text(name)] = LiveSproc(text(name), blob, intact, edit if intact else "")
    return found, names


def _with(live: Live, keys: Keys, sprocs: Mapping[str, LiveSproc], listed: Sequence[bytes]) -> Live:
    names = [text(name) for name in listed]
    ordered = all(one < other for one, other in pairwise(names))
    faults = live.faults if ordered else (*live.faults, f"{keys.list} is not a sorted list of names")
    return replace(live, sprocs=sprocs, faults=faults)


def engine_of(live: Live, keys: Keys, owner: str) -> Engine:
    """The engine that this registry needs."""
    return render(keys, owner, live.info.db)


def read_sprocs(registry: Registry, names: Iterable[str]) -> list[Sproc]:
    """Sprocs with source and metadata, by one pipeline; names that aren't there, or aren't hashes, are left out."""
    wanted = list(names)
    pipe = registry.client.pipeline(transaction=False)
    for one in wanted:
        pipe.hgetall(raw(registry.keys.name(one)))
    replies = pipe.execute(raise_on_error=False)
    _raise_other(replies)
    return [
        sproc_of(name, reply) for name, reply in zip(wanted, replies, strict=True) if isinstance(reply, dict) and reply
    ]
