"""A change that the server of one registry takes: all is proven, nothing is applied."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import ExecAbortError
from redis.exceptions import TimeoutError as LateError

from luasprocs.contract.encoding import raw
from luasprocs.contract.replies import About
from luasprocs.errors import ConflictError, LostReplyError, NotKeptError
from luasprocs.language.triggers.event import as_fields, sources, trigger_of
from luasprocs.registry.edits import edits_of
from luasprocs.registry.history import read_history
from luasprocs.registry.live import INSPECT_CHUNK, read_sprocs
from luasprocs.registry.place import OVERTAKEN, connection_to
from luasprocs.registry.revision import Revision
from luasprocs.registry.transaction import Transaction, batched
from luasprocs.server.pipeline import borrowed, packed, transact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.contract.keys import Keys
    from luasprocs.engine import Engine
    from luasprocs.language.needs import Needs
    from luasprocs.registry.history import Generation
    from luasprocs.registry.live import Live
    from luasprocs.registry.transaction import Change, Row
    from luasprocs.server.registry import Registry

LOST = (BrokenError, LateError)
LOOK_FOR_S, LOOK_EVERY_S = 3.0, 0.1
"""How long a server is asked for, behind a connection that broke, and how often."""


class _CutOffError(Exception):
    """The connection broke between MULTI and the reply of EXEC."""


class Ready(NamedTuple):
    """A change that the server of one registry takes. `rows`: those of `change.put`."""

    registry: Registry
    live: Live
    change: Change
    engine: Engine
    rows: Sequence[Row]
    needs: Needs
    revision: Revision

    def numbered(self, generation: int) -> Self:
        """The same as another generation."""
        return self._replace(revision=self.revision._replace(generation=generation))

    def execute(self) -> None:
        """Applies it in one MULTI, and reads it back. If the connection breaks on the way, it looks whether it was applied.

        Raises:
            ConflictError: the registry changed since `live` was read, the connection broke and nothing of it is live, or a
            reply was not what it should be.
            LostReplyError: the connection broke behind EXEC, and nobody can be asked.
            redis.RedisError: the server refused or is gone; nothing was applied.
        """
        try:
            self._send()
        except _CutOffError as cut:
            _look_again(self.registry, self.revision, str(cut))
        try:
            _read_back(self)
        except LOST:
            try:
                _read_back(self)
            except LOST as error:
                said = (
                    f"generation {self.revision.generation} was applied, and could not be read back: luasprocs status"
                )
                raise LostReplyError(f"{said} ({error})") from error

    def _send(self) -> None:
        registry, live, change, revision = self.registry, self.live, self.change, self.revision
        with connection_to(registry, *_singles(registry.keys)) as connection:
            _still(registry, live)
            transaction = Transaction(
                registry.keys,
                live,
                change,
                revision,
                self.engine,
                self.rows,
                replaced={sproc.name: sproc for sproc in read_sprocs(registry, _touched(live, change))},
                outdated=_outdated(registry, live, revision.generation - change.generations_kept),
                bound=_triggers(registry, live, change),
                needed=self.needs.as_fields(),
            )
            _execute(connection, transaction)


def _touched(live: Live, change: Change) -> list[str]:
    names = [*(sproc.name for sproc in change.put), *change.deleted]
    return [name for name in names if name in live.sprocs]


def _singles(keys: Keys) -> tuple[str, ...]:
    return (
        keys.revision,
        keys.list,
        keys.triggers,
        keys.functions,
        keys.history,
        keys.blobs,
        keys.replaced,
        keys.digests,
    )


def _still(registry: Registry, live: Live) -> None:
    """What was planned from is still so; what comes after WATCH makes EXEC fail."""
    stored = {} if live.faulty(registry.keys.revision) else registry.client.hgetall(registry.keys.revision)
    if Revision.parse(stored) != live.revision:
        raise ConflictError(OVERTAKEN)


def _outdated(registry: Registry, live: Live, generation: int) -> list[Any]:
    """Blobs that no kept generation replaced."""
    if generation < 1 or live.faulty(registry.keys.replaced):
        return []
    found: list[Any] = registry.client.zrangebyscore(registry.keys.replaced, "-inf", generation)
    bases = {raw(one.edit.base) for one in edits_of(live)}  # which an undo needs, however long the edit waits
    return [blob for blob in found if blob not in bases]


def _triggers(registry: Registry, live: Live, change: Change) -> Mapping[str, str]:
    """The triggers hash after the change: of the sprocs put, and of those live ones that have triggers and stay."""
    put = {sproc.name for sproc in change.put}
    known = {name for names in live.triggers.values() for name in names}
    if live.faults:  # the hash may lack some: ask every sproc
        known = set(change.names)
    kept = (set(change.names) & known) - put
    found = [*change.put, *(read_sprocs(registry, sorted(kept)) if kept else ())]
    wanted = (trigger_of(sproc.name, sproc.values) for sproc in found)
    return as_fields(sources(filter(None, wanted), live.info.db, live.triggers))


def _execute(connection: Any, transaction: Transaction) -> None:
    """EXEC, and every reply checked: MULTI does not roll back a command that fails inside it."""
    try:
        replies = transact(connection, transaction.commands())
    except LOST as error:
        raise _CutOffError(str(error)) from error
    except ExecAbortError as error:
        raise ConflictError(f"the server refused the change, nothing was applied: {error}") from error
    failed = [reply for reply in replies if isinstance(reply, Exception)]
    if failed:
        raise NotKeptError(f"part of the change failed inside EXEC ({failed[0]}): sync again to repair the registry")


def _look_again(registry: Registry, revision: Revision, cut: str) -> None:
    """Returns if the server has applied what makes this revision. An EXEC that is still on its way is no danger to who plans
    again: of two that watch one revision one wins.
    """
    now, newest = _asked_again(registry, revision.generation)
    made = (revision.generation, revision.applied_at, revision.applied_by)
    if now == revision or any((one.generation, one.applied_at, one.applied_by) == made for one in newest):
        return
    if now.generation >= revision.generation:
        raise ConflictError(OVERTAKEN)
    raise ConflictError(f"the connection broke before the change was applied, and nothing of it is live ({cut})")


def _asked_again(registry: Registry, generation: int) -> tuple[Revision, Sequence[Generation]]:
    """The revision that is live, and the newest of the history."""
    began_s = time.monotonic()
    while True:
        try:
            now = Revision.parse(registry.client.hgetall(registry.keys.revision))
            return now, read_history(registry, max(1, now.generation - generation + 1))
        except LOST as error:
            if time.monotonic() - began_s > LOOK_FOR_S:
                said = f"the connection broke while generation {generation} was applied, and the server can't be asked again"
                hint = "it may or may not have been applied: look with luasprocs history before you repeat it"
                raise LostReplyError(f"{said}; {hint} ({error})") from error
            time.sleep(LOOK_EVERY_S)


def _read_back(sent: Ready) -> None:
    """Raises ConflictError unless the server now holds what was sent (or somebody's newer revision)."""
    registry, revision, engine = sent.registry, sent.revision, sent.engine
    chunks = [[row.stored.seen for row in rows] for rows in batched(sent.rows, INSPECT_CHUNK)]
    with borrowed(registry.client) as connection:
        commands = [
            packed("HMGET", registry.keys.revision, *Revision._fields),
            packed("FCALL_RO", registry.keys.function("about"), 0),
            packed("LLEN", registry.keys.list),
            *(
                packed("FCALL_RO", registry.keys.function("verify"), 0, *(name for name, _, _ in some))
                for some in chunks
            ),
        ]
        connection.send_packed_command([b"".join(commands)])
        stored, about, length = (connection.read_response() for _ in range(3))
        right = True
        for some in chunks:  # each while the server is at the next
            right &= connection.read_response() == list(chain.from_iterable(some))
    now = Revision.parse({name: value for name, value in zip(Revision._fields, stored, strict=True) if value})
    if now.generation > revision.generation:
        return
    if now != revision or length != len(sent.change.names) or not right:
        raise NotKeptError("the registry differs from what was sent: sync again to repair it")
    loaded = About.parse(about)
    if loaded is None or loaded.text_id != engine.id or loaded.generation != str(revision.generation):
        raise NotKeptError("the engine was not replaced: sync again to repair it")
