"""Reads the registry: what is live in Redis, and whether it is whole. docs/registry.md documents each key."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import number, raw, text
from luasprocs.contract.keys import KEYS, Keys
from luasprocs.contract.limits import FUNCTIONS_DIGEST, TRIGGERS_DIGEST
from luasprocs.contract.replies import About, Inspected
from luasprocs.engine import Engine, new_secret, render
from luasprocs.language.needs import NOTHING, Needs
from luasprocs.language.sproc import Sproc
from luasprocs.registry.revision import Revision
from luasprocs.registry.sproc_hash import digest, sproc_of
from luasprocs.server.errors import is_missing_function, is_wrong_type
from luasprocs.server.info import ServerInfo, parse_info
from luasprocs.server.reading import raise_refusals
from luasprocs.server.registry import Registry
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


INSPECT_CHUNK = 250
"""Sprocs that one call of the engine inspects: about 3 ms of the server's time."""


class Fault(NamedTuple):
    """A key that isn't what it should be: an apply deletes it and writes it anew. `said`: what is wrong, as a sentence."""

    key: str
    said: str

    def __str__(self) -> str:
        return self.said


class LiveSproc(NamedTuple):
    """One sproc as the list names it; `intact`: its hash is as it was applied; `edit`: of a live edit, see `registry.edits`."""

    name: str
    blob: str
    intact: bool
    edit: str = ""


class Live(NamedTuple):
    """The registry at one moment. `faults`: what is wrong with its single keys; none when it is whole."""

    revision: Revision
    about: About | None
    sprocs: Mapping[str, LiveSproc]
    info: ServerInfo
    triggers: Mapping[str, tuple[str, ...]] = {}
    needs: Needs = NOTHING
    faults: tuple[Fault, ...] = ()
    last_generation: int = 0
    siblings: tuple[Live, ...] = ()
    """The other shards of a cluster, in the order of `Registry.siblings`."""

    @property
    def drift(self) -> tuple[str, ...]:
        """Names whose hash is not as it was applied, sorted."""
        return tuple(sorted(name for name, sproc in self.sprocs.items() if not sproc.intact))

    @property
    def empty(self) -> bool:
        """Nothing was ever applied here."""
        return not self.revision.generation and not self.sprocs

    def faulty(self, *keys: str) -> bool:
        """Whether one of these keys isn't what it should be."""
        return any(fault.key in keys for fault in self.faults)

    def engine_stale(self, engine: Engine) -> str:
        """Why the loaded engine isn't the one that this registry needs, or ""."""
        if self.about is None:
            return "the engine is not loaded"
        if self.about.text_id != engine.id:
            return "the engine is another version"
        if self.about.generation != str(self.revision.generation):
            return f"the engine runs generation {self.about.generation or 'none'}, not {self.revision.generation}"
        return ""


def read_live(registry: Registry, expected: int = 0) -> Live:
    """Reads the registry, in a cluster each shard of it; each in one round trip, if it holds about as many sprocs as `expected`.

    Raises:
        redis.RedisError: the connection, the password or a right failed (`luasprocs.server.errors.errors_named` names it).
    """
    first, *others = each_shard(registry, lambda shard: _read_live(shard, expected))
    return first._replace(siblings=tuple(others)) if others else first


def _read_live(registry: Registry, expected: int) -> Live:
    pipe = registry.client.pipeline(transaction=False)
    pipe.info("everything")
    pipe.hgetall(registry.keys.revision)
    pipe.execute_command("FCALL_RO", *registry.words("about"))
    pipe.llen(registry.keys.list)
    pipe.hgetall(registry.keys.triggers)
    pipe.hgetall(registry.keys.functions)
    pipe.xrevrange(registry.keys.history, count=1)
    for key in _TYPED:
        pipe.type(key.within(registry.keys))
    pipe.hmget(registry.keys.digests, TRIGGERS_DIGEST, FUNCTIONS_DIGEST)
    chunks = max(1, -(-expected // INSPECT_CHUNK))
    _queue_inspect(pipe, registry, range(chunks))
    replies = pipe.execute(raise_on_error=False)
    _raise_other(replies)
    ahead = 8 + len(_TYPED)
    live, length = _live(registry, replies[:ahead]), replies[3]
    if not length and live.revision.generation and not live.faults:
        live = live._replace(faults=_of_list(registry))
    if live.about is None or _of_another_tag(live, registry.keys):
        return _with(live, registry.keys, *_read_without_engine(registry))
    found = replies[ahead:]
    missing = range(chunks, -(-length // INSPECT_CHUNK)) if isinstance(length, int) else range(0)
    if missing:
        more = registry.client.pipeline(transaction=False)
        _queue_inspect(more, registry, missing)
        found += more.execute()
    return _with(live, registry.keys, inspected(found), [name for reply in found for name in reply[::3]])


def _of_another_tag(live: Live, keys: Keys) -> bool:
    """Whether the engine may be that of other keys than these, so that it can't tell what they hold."""
    about = live.about
    return (
        about is not None and bool(keys.tag) and about.text_id != _text_id(keys, about.owner, live.info.db, live.needs)
    )


@lru_cache(maxsize=1000)
def _text_id(keys: Keys, owner: str, db: int, needs: Needs) -> str:
    return render(keys, owner, db, needs=needs).id


def reread(registry: Registry, live: Live) -> Live | None:
    """What was live, if the revision and the engine are still the same; sprocs are not looked at. One small round trip each."""
    pairs = dict(zip(registry.shards, (live, *live.siblings), strict=False))
    if len(pairs) != len(registry.shards):
        return None
    found = [one for one in each_shard(registry, lambda shard: _reread(shard, pairs[shard])) if one is not None]
    if len(found) != len(pairs):
        return None
    return found[0]._replace(siblings=tuple(found[1:])) if registry.siblings else found[0]


def _reread(registry: Registry, live: Live) -> Live | None:
    pipe = registry.client.pipeline(transaction=False)
    pipe.info("everything")
    pipe.hgetall(registry.keys.revision)
    pipe.execute_command("FCALL_RO", *registry.words("about"))
    info, revision, about = pipe.execute(raise_on_error=False)
    _raise_other((info, revision, about))
    if isinstance(revision, Exception) or isinstance(about, Exception):
        return None
    same = (Revision.parse(revision), About.parse(about)) == (live.revision, live.about)
    return live._replace(info=parse_info(info, db=live.info.db)) if same else None


def _queue_inspect(pipe: Any, registry: Registry, chunks: Iterable[int]) -> None:
    for chunk in chunks:
        start = chunk * INSPECT_CHUNK
        pipe.execute_command("FCALL_RO", *registry.words("inspect", start, start + INSPECT_CHUNK - 1))


def _raise_other(replies: Sequence[Any]) -> None:
    """A key of the wrong type or a missing engine is this module's business; any other error is the caller's."""
    for reply in replies:
        if isinstance(reply, Exception) and not (is_wrong_type(reply) or is_missing_function(reply)):
            raise reply


_READ = (Keys.revision, Keys.list, Keys.triggers, Keys.functions, Keys.history)
"""Keys that are read whole, or in part."""
_TYPED = tuple(key for key in KEYS if key.checked and key not in _READ)
"""Keys that are asked for their type alone."""


def _live(registry: Registry, replies: Sequence[Any]) -> Live:
    info, revision, about, length, triggers, functions, last, *types, digests = replies
    faults = _faults(registry.keys, (revision, length, triggers, functions, last), types)
    if not faults:
        keys = registry.keys
        found = ((keys.triggers, triggers), (keys.functions, functions))
        for (key, stored), applied in zip(found, digests, strict=True):
            if digest(stored).encode() != (applied or digest({}).encode()):
                faults.append(Fault(key, f"{key} is not a hash as it was applied"))
    needs = NOTHING if any(fault.key == registry.keys.functions for fault in faults) else needs_in(functions)
    db = registry.client.connection_pool.connection_kwargs.get("db") or 0
    return Live(
        revision=Revision() if isinstance(revision, Exception) else Revision.parse(revision),
        about=About.parse(about),
        sprocs={},
        info=parse_info(info, db=int(db)),
        triggers={} if isinstance(triggers, Exception) else _names_by_source(triggers),
        needs=needs,
        faults=tuple(faults),
        last_generation=0
        if isinstance(last, Exception) or not last
        else number(text(last[0][1].get(b"generation", b""))),
    )


def _of_list(registry: Registry) -> tuple[Fault, ...]:
    """Of a registry whose list names no sproc. Without their digests all are written anew."""
    keys, digests = registry.keys, registry.client.hgetall(registry.keys.digests)
    if digests.keys() <= {raw(TRIGGERS_DIGEST), raw(FUNCTIONS_DIGEST)}:
        return ()
    return (Fault(keys.digests, f"{keys.list} is missing, so no sproc is live"),)


def _faults(keys: Keys, read: Sequence[Any], types: Sequence[bytes]) -> list[Fault]:
    """From the replies of keys that were read, and the types of the others."""
    wrong = [key for key, reply in zip(_READ, read, strict=True) if isinstance(reply, Exception)]
    wrong += [key for key, found in zip(_TYPED, types, strict=True) if found not in (key.kind.encode(), b"none")]
    faults = [Fault(key.within(keys), f"{key.within(keys)} is not a {key.kind}") for key in wrong]
    kinds = dict(zip(_TYPED, types, strict=True))
    if kinds[Keys.blobs] != b"hash" and kinds[Keys.replaced] == b"zset":
        said = f"{keys.replaced} names sources that are not kept: {keys.blobs} is missing; rollback needs it"
        faults.append(Fault(keys.replaced, said))
    revision, *_, last = read
    if not isinstance(revision, Exception) and revision and last == []:
        faults.append(Fault(keys.history, f"{keys.history} is missing; rollback needs it"))
    return faults


def _names_by_source(stored: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    return {text(source): tuple(text(names).split("\n")) for source, names in stored.items()}


def needs_in(stored: Mapping[bytes, bytes]) -> Needs:
    """What the registry says that its sprocs need of the engine."""
    return Needs.parse({text(name): text(value) for name, value in stored.items()})


def inspected(replies: Iterable[Any]) -> dict[str, LiveSproc]:
    """Sprocs by name, from replies of the engine's inspect and verify."""
    return {one.name: LiveSproc(*one) for reply in replies for one in Inspected.each(reply)}


def _read_without_engine(registry: Registry) -> tuple[dict[str, LiveSproc], list[bytes]]:
    """The same by reading every hash, and the list: what a registry whose engine is gone costs."""
    pipe = registry.client.pipeline(transaction=False)
    pipe.lrange(registry.keys.list, 0, -1)
    pipe.hgetall(registry.keys.digests)
    names, digests = pipe.execute(raise_on_error=False)
    raise_refusals((names, digests))
    if isinstance(names, Exception) or not names:
        return {}, []
    pipe = registry.client.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(raw(registry.keys.name(text(name))))
    replies = pipe.execute(raise_on_error=False)
    raise_refusals(replies)
    found = {}
    for name, fields in zip(names, replies, strict=True):
        whole = not isinstance(fields, Exception) and not isinstance(digests, Exception)
        intact = whole and digests.get(name, b"") == digest(fields).encode()
        blob = "" if isinstance(fields, Exception) else text(fields.get(b"blob", b""))
        edit = "" if isinstance(fields, Exception) else text(fields.get(b"edit", b""))
        found[text(name)] = LiveSproc(text(name), blob, intact, edit if intact else "")
    return found, names


def _with(live: Live, keys: Keys, sprocs: Mapping[str, LiveSproc], listed: Sequence[bytes]) -> Live:
    names = [text(name) for name in listed]
    ordered = all(one < other for one, other in pairwise(names))
    unsorted = Fault(keys.list, f"{keys.list} is not a sorted list of names")
    faults = live.faults if ordered else (*live.faults, unsorted)
    return live._replace(sprocs=sprocs, faults=faults)


def engine_of(live: Live, keys: Keys, owner: str) -> Engine:
    """The engine that this registry needs."""
    return render(keys, owner, live.info.db, (live.about and live.about.secret) or new_secret(), live.needs)


def read_sprocs(registry: Registry, names: Iterable[str]) -> list[Sproc]:
    """Sprocs with source and metadata, by one pipeline; names that aren't there, or aren't hashes, are left out."""
    wanted = list(names)
    pipe = registry.client.pipeline(transaction=False)
    for one in wanted:
        pipe.hgetall(raw(registry.keys.name(one)))
    replies = pipe.execute(raise_on_error=False)
    raise_refusals(replies)
    return [
        sproc_of(name, reply) for name, reply in zip(wanted, replies, strict=True) if isinstance(reply, dict) and reply
    ]
