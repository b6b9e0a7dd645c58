"""Makes a change live in one MULTI, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from redis.exceptions import ExecAbortError, WatchError

from luasprocs.contract.encoding import raw
from luasprocs.contract.replies import About
from luasprocs.engine import VERSION, Engine, render
from luasprocs.errors import ConflictError, EngineVersionError, NotKeptError, OwnerError, ProblemsError
from luasprocs.language.needs import Needs, needs_of
from luasprocs.language.triggers.event import as_fields, sources, trigger_of
from luasprocs.registry.edits import edits_of
from luasprocs.registry.functions import function_problems
from luasprocs.registry.live import INSPECT_CHUNK, Live, engine_of, read_sprocs
from luasprocs.registry.revision import Revision
from luasprocs.registry.server_compile import Proof, prove
from luasprocs.registry.transaction import Change, Transaction, batched
from luasprocs.server.pipeline import borrowed, packed, transact
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.contract.keys import Keys


def check_owner(live: Live, keys: Keys, owner: str, *, adopt: bool) -> None:
    """Refuses what isn't ours.

    Raises:
        OwnerError: the registry or its engine belongs to another repository or db, and `adopt` is off.
        EngineVersionError: a newer luasprocs made it.
    """
    newest = max(live.revision.engine, live.about.version if live.about else 0)
    if newest > VERSION:
        raise EngineVersionError(
            f"this registry's engine has version {newest}, this luasprocs knows {VERSION}: upgrade luasprocs "
            "(an older one never replaces a newer engine)"
        )
    if adopt:
        return
    if live.revision.owner and live.revision.owner != owner:
        raise OwnerError(
            f"the sprocs in {live.info.host or 'this Redis'} belong to another repository ({live.revision.owner}, this one is "
            f"{owner}): sync with --adopt to take them over, or give this repository a namespace"
        )
    about = live.about
    if about and (about.owner != owner or about.db != str(live.info.db) or about.namespace != keys.namespace):
        raise OwnerError(
            f"the engine {keys.library} on this server serves db {about.db}, namespace {about.namespace or 'none'}, repository "
            f"{about.owner}: functions are shared by all dbs, so take a namespace of your own, or sync with --adopt to replace it"
        )


def apply(
    registry: Registry,
    live: Live,
    change: Change,
    progress: Callable[[int], None] = lambda _: None,
    proof: Proof | None = None,
) -> Revision:
    """Applies `change` on top of `live` and reads it back. `progress` hears how many sprocs are compiled.

    `proof`: that of `change.put`, if the caller had it made while reading them.

    Raises:
        OwnerError, EngineVersionError: see `check_owner`; nothing was written.
        ProblemsError: a source does not compile on this server; nothing was applied.
        ConflictError: the registry changed since `live` was read (plan again), or a reply was not what it should be.
        redis.RedisError: the server refused or is gone; if before EXEC, nothing was applied.
    """
    check_owner(live, registry.keys, change.owner, adopt=change.adopt)
    if proof is None:
        engine = engine_of(live, registry.keys, change.owner)
        proof = prove(registry, live, engine, change.put, progress, adopt=change.adopt)
    if proof.problems:
        raise ProblemsError(proof.problems)
    needs = _needs(registry, live, change)
    if problems := list(function_problems(registry, live, needs, change.put)):
        raise ProblemsError(problems)
    engine = proof.engine
    if needs != live.needs:
        engine = render(registry.keys, change.owner, live.info.db, engine.secret, needs)
    revision = _revision(live, change)
    with borrowed(registry.client) as connection:
        connection.send_command("WATCH", *_singles(registry.keys))
        connection.read_response()
        _still(registry, live)
        transaction = Transaction(
            registry.keys,
            live,
            change,
            revision,
            engine,
            proof.rows,
            replaced={sproc.name: sproc for sproc in read_sprocs(registry, _touched(live, change))},
            outdated=_outdated(registry, live, revision.generation - change.generations_kept),
            bound=_triggers(registry, live, change),
            needed=needs.as_fields(),
        )
        _execute(connection, transaction)
    _read_back(registry, revision, engine, change)
    return revision


def _revision(live: Live, change: Change) -> Revision:
    return Revision(
        commit=change.commit,
        branch=change.branch,
        generation=max(live.revision.generation, live.last_generation) + 1,
        applied_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        applied_by=change.applied_by,
        owner=change.owner,
        engine=VERSION,
        pinned=change.pinned,
        held=change.held,
        defaults=change.defaults,
    )


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


def _needs(registry: Registry, live: Live, change: Change) -> Needs:
    """What is needed after the change: by the sprocs put, and by the live ones that stay."""
    put = {sproc.name for sproc in change.put}
    kept = (set(change.names) & (set(change.names) if live.faults else live.needs.sprocs)) - put
    found = [*change.put, *(read_sprocs(registry, sorted(kept)) if kept else ())]
    return needs_of((sproc.name, sproc.values) for sproc in found)


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
