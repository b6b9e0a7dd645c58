"""A change that the server of one registry takes: all is proven, nothing is applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from redis.exceptions import ExecAbortError, WatchError

from luasprocs.contract.encoding import raw
from luasprocs.contract.replies import About
from luasprocs.errors import ConflictError, NotKeptError
from luasprocs.language.triggers.event import as_fields, sources, trigger_of
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import INSPECT_CHUNK, read_sprocs
from luasprocs.registry.revision import Revision
from luasprocs.registry.transaction import Transaction, batched
from luasprocs.server.pipeline import borrowed, packed, transact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.contract.keys import Keys
    from luasprocs.engine import Engine
    from luasprocs.language.needs import Needs
    from luasprocs.registry.live import Live
    from luasprocs.registry.transaction import Change, Row
    from luasprocs.server.registry import Registry


@dataclass(frozen=True, slots=True)
class Ready:
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
        return replace(self, revision=replace(self.revision, generation=generation))

    def execute(self) -> None:
        """Applies it in one MULTI, and reads it back.

        Raises:
            ConflictError: the registry changed since `live` was read, or a reply was not what it should be.
            redis.RedisError: the server refused or is gone; if before EXEC, nothing was applied.
        """
        registry, live, change, revision = self.registry, self.live, self.change, self.revision
        with borrowed(registry.client) as connection:
            connection.send_command("WATCH", *_singles(registry.keys))
            connection.read_response()
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
        _read_back(registry, revision, self.engine, change)


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
        raise ConflictError("another sync changed the registry first: plan again")


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
    except WatchError as error:
        raise ConflictError("another sync changed the registry first: plan again") from error
    except ExecAbortError as error:
        raise ConflictError(f"the server refused the change, nothing was applied: {error}") from error
    failed = [reply for reply in replies if isinstance(reply, Exception)]
    if failed:
        raise NotKeptError(f"part of the change failed inside EXEC ({failed[0]}): sync again to repair the registry")


def _read_back(registry: Registry, revision: Revision, engine: Engine, change: Change) -> None:
    """Raises ConflictError unless the server now holds what was sent (or somebody's newer revision)."""
    chunks = list(batched(change.put, INSPECT_CHUNK))
    with borrowed(registry.client) as connection:
        commands = [
            packed("HMGET", registry.keys.revision, *Revision.__slots__),
            packed("FCALL_RO", registry.keys.function("about"), 0),
            packed("LLEN", registry.keys.list),
            *(
                packed("FCALL_RO", registry.keys.function("verify"), 0, *(raw(sproc.name) for sproc in some))
                for some in chunks
            ),
        ]
        connection.send_packed_command([b"".join(commands)])
        stored, about, length = (connection.read_response() for _ in range(3))
        right = True
        for some in chunks:  # each while the server is at the next
            sent = [part for sproc in some for part in (raw(sproc.name), raw(sproc.blob), raw(sproc.edit) or 1)]
            right &= connection.read_response() == sent
    now = Revision.parse({name: value for name, value in zip(Revision.__slots__, stored, strict=True) if value})
    if now.generation > revision.generation:
        return
    if now != revision or length != len(change.names) or not right:
        raise NotKeptError("the registry differs from what was sent: sync again to repair it")
    loaded = About.parse(about)
    if loaded is None or loaded.text_id != engine.id or loaded.generation != str(revision.generation):
        raise NotKeptError("the engine was not replaced: sync again to repair it")
