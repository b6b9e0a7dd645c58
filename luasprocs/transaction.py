"""What one apply sends between MULTI and EXEC. Nothing here waits for a reply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from luasprocs.registry import TRIGGERS_DIGEST, Live, Revision, digest, fields_of, raw
from luasprocs.sproc import Sproc, git_blob_id
from luasprocs.triggers import as_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from luasprocs.engine import Engine
    from luasprocs.keys import Keys

T = TypeVar("T")

GENERATIONS_KEPT = 50
"""Generations that a rollback can go back."""
NAMES_A_COMMAND = 1000


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Stretches of at most `size` items (itertools has this from Python 3.12 on)."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Change:
    """What to make live. `put` has the new and changed sprocs; `names` every name there will be, sorted."""

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
    defaults: str = ""
    action: str = "sync"
    generations_kept: int = GENERATIONS_KEPT


class Row(NamedTuple):
    """A sproc ready to be written: its key, the hash's fields and values in turn, and their digest."""

    name: str
    key: bytes
    fields: tuple[bytes, ...]
    digest: str


def row_of(keys: Keys, sproc: Sproc) -> Row:
    """What is written for a sproc."""
    fields = fields_of(sproc)
    return Row(sproc.name, raw(keys.name(sproc.name)), tuple(chain.from_iterable(fields.items())), digest(fields))


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything an apply writes. Keys are deleted before they are written: one of the wrong type can't fail half-way.

    `rows`: those of `change.put`; `replaced`: the live sprocs that `change` overwrites or deletes; `outdated`: blobs
    that no kept generation replaced; `bound`: the triggers hash as it will be.
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

    def queue(self, pipe: Any) -> None:
        """Puts the commands into a pipeline."""
        for fault in self.live.faults:
            pipe.delete(fault.split(" is not a ")[0])
        pipe.execute_command("FCALL", self.keys.function("flush"), 0)  # the load below forgets counted calls
        self._queue_sprocs(pipe)
        self._queue_names(pipe)
        self._queue_history(pipe)
        self._queue_blobs(pipe)
        pipe.delete(self.keys.revision)
        pipe.hset(self.keys.revision, mapping=self.revision.fields())
        pipe.execute_command("FUNCTION", "LOAD", "REPLACE", self.engine.text)
        pipe.publish(self.keys.generations, self.revision.generation)

    def _queue_sprocs(self, pipe: Any) -> None:
        deleted = self.change.deleted
        written = [*(raw(self.keys.name(name)) for name in deleted), *(row.key for row in self.rows)]
        for some in batched(written, NAMES_A_COMMAND):
            pipe.delete(*some)
        for names in batched(deleted, NAMES_A_COMMAND):
            pipe.hdel(self.keys.digests, *map(raw, names))
        for row in self.rows:
            pipe.execute_command("HSET", row.key, *row.fields)
        for rows in batched(self.rows, NAMES_A_COMMAND):
            pairs = ((raw(row.name), row.digest) for row in rows)
            pipe.execute_command("HSET", self.keys.digests, *chain.from_iterable(pairs))

    def _queue_names(self, pipe: Any) -> None:
        names = self.change.names
        if list(names) != list(self.live.sprocs) or self._faulty(self.keys.list):
            pipe.delete(self.keys.list)
            for some in batched(names, NAMES_A_COMMAND):
                pipe.rpush(self.keys.list, *map(raw, some))
        if self.bound != as_fields(self.live.triggers) or self._faulty(self.keys.triggers, self.keys.digests):
            pipe.delete(self.keys.triggers)
            bound = {raw(source): raw(some) for source, some in self.bound.items()}
            if bound:
                pipe.hset(self.keys.triggers, mapping=bound)
            pipe.hset(self.keys.digests, TRIGGERS_DIGEST, digest(bound))

    def _faulty(self, *keys: str) -> bool:
        return any(fault.startswith(f"{key} is not a ") for fault in self.live.faults for key in keys)

    def _queue_history(self, pipe: Any) -> None:
        change, live = self.change, self.live.sprocs
        created = {sproc.name: sproc.blob for sproc in change.put if sproc.name not in live}
        updated = {sproc.name: [self._old(sproc.name), sproc.blob] for sproc in change.put if sproc.name in live}
        entry: dict[str, Any] = {
            "generation": self.revision.generation,
            "action": change.action,
            "commit": change.commit,
            "author": raw(change.author),
            "subject": raw(change.subject),
            "branch": raw(change.branch),
            "applied_at": self.revision.applied_at,
            "applied_by": raw(change.applied_by),
            "created": json.dumps(created),
            "updated": json.dumps(updated),
            "deleted": json.dumps({name: self._old(name) for name in change.deleted}),
        }
        pipe.xadd(self.keys.history, entry, maxlen=change.generations_kept, approximate=False)

    def _queue_blobs(self, pipe: Any) -> None:
        kept = {self._old(name): sproc.source for name, sproc in self.replaced.items()}
        gone = set(self.outdated) - {blob.encode() for blob in kept}
        if gone:
            pipe.hdel(self.keys.blobs, *gone)
            pipe.zrem(self.keys.replaced, *gone)
        for blob, source in kept.items():
            pipe.hset(self.keys.blobs, blob, source)
            pipe.zadd(self.keys.replaced, {blob: self.revision.generation})

    def _old(self, name: str) -> str:
        """The blob of what is live now; of a source that was edited by hand its own, so that it is kept too."""
        sproc = self.replaced.get(name)
        if sproc is None:
            return ""
        return sproc.blob if self.live.sprocs[name].intact else git_blob_id(sproc.source)
