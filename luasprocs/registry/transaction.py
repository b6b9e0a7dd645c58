"""What one apply sends between MULTI and EXEC. Nothing here waits for a reply."""

from __future__ import annotations

import json
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from luasprocs.contract.codes import Action
from luasprocs.contract.encoding import raw
from luasprocs.contract.limits import FUNCTIONS_DIGEST, GENERATIONS_KEPT, TRIGGERS_DIGEST
from luasprocs.language.needs import is_script
from luasprocs.language.sproc import Sproc, git_blob_id
from luasprocs.language.triggers.event import as_fields
from luasprocs.registry.live import Live
from luasprocs.registry.revision import Revision
from luasprocs.registry.sproc_hash import digest, fields_of
from luasprocs.server.pipeline import packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from luasprocs.contract.keys import Keys
    from luasprocs.engine import Engine

T = TypeVar("T")

NAMES_A_COMMAND = 1000


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Stretches of at most `size` items (itertools has this from Python 3.12 on)."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


class Change(NamedTuple):
    """What to make live. `put` has the new and changed sprocs; `names` every name there will be, sorted.

    `kept`: sources by blob that were never live, and that somebody may want back.
    """

    commit: str
    branch: str
    owner: str
    author: str
    subject: str
    applied_by: str
    put: tuple[Sproc, ...]
    deleted: tuple[str, ...]
    names: tuple[str, ...]
    adopt: bool = False
    pinned: str = ""
    held: str = ""
    defaults: str = ""
    action: str = Action.SYNC
    healed: tuple[str, ...] = ()
    why: str = ""
    kept: Mapping[str, bytes] = {}
    generations_kept: int = GENERATIONS_KEPT


class Stored(NamedTuple):
    """A sproc's hash, whichever key it gets: the `length` words of an HSET after it, as they are sent.

    `digested`: the name and the hash's digest, two words as they are sent; `seen`: what `verify` says of it.
    """

    name: bytes
    length: int
    words: bytes
    digested: bytes
    seen: tuple[bytes, bytes, bytes | int]

    @classmethod
    def of(cls, sproc: Sproc) -> Self:
        fields, name = fields_of(sproc), raw(sproc.name)
        words = _words(*chain.from_iterable(fields.items()))
        seen = (name, fields[b"blob"], fields.get(b"edit", 1))
        return cls(name, 2 * len(fields), words, _words(name, digest(fields)), seen)


class Row(NamedTuple):
    """A sproc ready to be written on one shard: its key, and the command that writes its hash."""

    key: bytes
    command: bytes
    stored: Stored


def rows_of(keys: Keys, some: Iterable[Stored]) -> Iterator[Row]:
    """What is written for sprocs."""
    prefix = raw(keys.name(""))
    for one in some:
        key = prefix + one.name
        command = b"*%d\r\n$4\r\nHSET\r\n$%d\r\n%b\r\n%b" % (one.length + 2, len(key), key, one.words)
        yield Row(key, command, one)


class Transaction(NamedTuple):
    """Everything an apply writes. Keys are deleted before they are written: one of the wrong type can't fail half-way.

    `rows`: those of `change.put`; `replaced`: the live sprocs that `change` overwrites or deletes; `outdated`: blobs
    that no kept generation replaced; `bound`, `needed`: the hashes of triggers and functions as they will be.
    """

    keys: Keys
    live: Live
    change: Change
    revision: Revision
    engine: Engine
    rows: Sequence[Row]
    replaced: Mapping[str, Sproc]
    outdated: Sequence[bytes]
    bound: Mapping[str, str]
    needed: Mapping[str, str]

    def commands(self) -> Iterator[bytes]:
        """The commands between MULTI and EXEC, packed."""
        for fault in self.live.faults:
            yield packed("DEL", fault.key)
        yield packed("FCALL", self.keys.function("flush"), 0)  # the load below forgets counted calls
        yield from self._sprocs()
        yield from self._names()
        yield from self._functions()
        yield from (packed("SCRIPT", "LOAD", sproc.source) for sproc in self.change.put if is_script(sproc.values))
        yield self._history()
        yield from self._blobs()
        yield packed("DEL", self.keys.revision)
        yield _hset(self.keys.revision, self.revision.fields())
        yield packed("FUNCTION", "LOAD", "REPLACE", self.engine.text)
        yield packed("PUBLISH", self.keys.generations, f"{self.engine.secret} {self.revision.generation}")

    def _sprocs(self) -> Iterator[bytes]:
        deleted = self.change.deleted
        written = [*(raw(self.keys.name(name)) for name in deleted), *(row.key for row in self.rows)]
        for some in batched(written, NAMES_A_COMMAND):
            yield packed("DEL", *some)
        for names in batched(deleted, NAMES_A_COMMAND):
            yield packed("HDEL", self.keys.digests, *map(raw, names))
            yield packed("DEL", *(raw(self.keys.minutes(name)) for name in names))
        # A schedule that is no more has no countdown, and begins anew if it comes back.
        live = self.live.sprocs
        replaced = {sproc.name for sproc in self.change.put if sproc.name in live and not sproc.scheduled}
        for names in batched(sorted({*deleted, *replaced}), NAMES_A_COMMAND):
            yield packed("DEL", *(raw(self.keys.cron_prefix + name) for name in names))
            yield packed("HDEL", self.keys.scheduled, *map(raw, names))
        for row in self.rows:
            yield row.command
        for rows in batched(self.rows, NAMES_A_COMMAND):
            begins = _words("HSET", self.keys.digests)
            yield b"*%d\r\n%b%b" % (2 + 2 * len(rows), begins, b"".join(row.stored.digested for row in rows))

    def _names(self) -> Iterator[bytes]:
        names = self.change.names
        if list(names) != list(self.live.sprocs) or self.live.faulty(self.keys.list):
            yield packed("DEL", self.keys.list)
            for some in batched(names, NAMES_A_COMMAND):
                yield packed("RPUSH", self.keys.list, *map(raw, some))
        if self.bound != as_fields(self.live.triggers) or self.live.faulty(self.keys.triggers, self.keys.digests):
            yield packed("DEL", self.keys.triggers)
            if left := sorted(self.live.triggers.keys() - self.bound.keys()):
                yield packed(
                    "HDEL", self.keys.events, *map(raw, left)
                )  # a source that nobody listens to has no watermark
            if self.bound:
                yield _hset(self.keys.triggers, self.bound)
            bound = {raw(source): raw(some) for source, some in self.bound.items()}
            yield packed("HSET", self.keys.digests, TRIGGERS_DIGEST, digest(bound))

    def _functions(self) -> Iterator[bytes]:
        if self.needed != self.live.needs.as_fields() or self.live.faulty(self.keys.functions, self.keys.digests):
            yield packed("DEL", self.keys.functions)
            if self.needed:
                yield _hset(self.keys.functions, self.needed)
            stored = {raw(name): raw(value) for name, value in self.needed.items()}
            yield packed("HSET", self.keys.digests, FUNCTIONS_DIGEST, digest(stored))

    def _history(self) -> bytes:
        change, live = self.change, self.live.sprocs
        created = {sproc.name: sproc.blob for sproc in change.put if sproc.name not in live}
        updated = {sproc.name: [self._old(sproc.name), sproc.blob] for sproc in change.put if sproc.name in live}
        entry = {
            "generation": str(self.revision.generation),
            "action": change.action,
            "commit": change.commit,
            "author": change.author,
            "subject": change.subject,
            "branch": change.branch,
            "applied_at": self.revision.applied_at,
            "applied_by": change.applied_by,
            "why": change.why,
            "created": json.dumps(created),
            "updated": json.dumps(updated),
            "deleted": json.dumps({name: self._old(name) for name in change.deleted}),
            "healed": json.dumps(change.healed),
        }
        return packed("XADD", self.keys.history, "MAXLEN", change.generations_kept, "*", *_flat(entry))

    def _blobs(self) -> Iterator[bytes]:
        kept = {self._old(name): sproc.source for name, sproc in self.replaced.items()} | dict(self.change.kept)
        gone = set(self.outdated) - {blob.encode() for blob in kept}
        if gone:
            yield packed("HDEL", self.keys.blobs, *gone)
            yield packed("ZREM", self.keys.replaced, *gone)
        for blob, source in kept.items():
            yield packed("HSET", self.keys.blobs, blob, source)
            yield packed("ZADD", self.keys.replaced, self.revision.generation, blob)

    def _old(self, name: str) -> str:
        """The blob of what is live now; of a source that was edited by hand its own, so that it is kept too."""
        sproc = self.replaced.get(name)
        if sproc is None:
            return ""
        return sproc.blob if self.live.sprocs[name].intact else git_blob_id(sproc.source)


def _flat(fields: Mapping[str, str]) -> Iterator[bytes]:
    return map(raw, chain.from_iterable(fields.items()))


def _hset(key: str, fields: Mapping[str, str]) -> bytes:
    return packed("HSET", key, *_flat(fields))


def _words(*words: bytes | str) -> bytes:
    """Words of a command as they are sent, without how many it has."""
    return packed(*words).partition(b"\r\n")[2]
