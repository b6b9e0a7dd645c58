"""Makes a change live in one MULTI, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from redis.exceptions import ExecAbortError, ResponseError, WatchError

from luasprocs.engine import VERSION, Engine
from luasprocs.errors import ConflictError, EngineVersionError, OwnerError, Problem, ProblemsError
from luasprocs.registry import (
    INSPECT_CHUNK,
    Live,
    Revision,
    engine_of,
    inspected,
    raw,
    read_sprocs,
    text,
)
from luasprocs.sproc import Sproc
from luasprocs.transaction import Change, Row, Transaction, row_of
from luasprocs.triggers import Trigger, as_fields, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from redis import Redis

    from luasprocs.keys import Keys

COMPILE_CHUNK_BYTES = 128 * 1024
"""Source that one call compiles: about 2 ms of the server's time."""
COMPILES_AHEAD = 2
"""Calls under way, so that the server compiles while the next ones are made."""


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
    client: Redis, keys: Keys, live: Live, change: Change, progress: Callable[[int], None] = lambda _: None
) -> Revision:
    """Applies `change` on top of `live` and reads it back. `progress` hears how many sprocs are compiled.

    Raises:
        OwnerError, EngineVersionError: see `check_owner`; nothing was written.
        ProblemsError: a source does not compile on this server; nothing was applied.
        ConflictError: the registry changed since `live` was read (plan again), or a reply was not what it should be.
        redis.RedisError: the server refused or is gone; if before EXEC, nothing was applied.
    """
    check_owner(live, keys, change.owner, adopt=change.adopt)
    engine = engine_of(live, keys, change.owner)
    _load_engine(client, live, engine)
    rows = _prove(client, keys, change, progress)
    revision = _revision(live, change)
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(*_singles(keys))
        _still(client, keys, live)
        transaction = Transaction(
            keys,
            live,
            change,
            revision,
            engine,
            rows,
            replaced={sproc.name: sproc for sproc in read_sprocs(client, keys, _touched(live, change))},
            outdated=_outdated(client, keys, live, revision.generation - change.generations_kept),
            bound=_triggers(client, keys, live, change),
        )
        pipe.multi()
        transaction.queue(pipe)
        _execute(pipe)
    _read_back(client, keys, revision, engine, change)
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
        defaults=change.defaults,
    )


def _touched(live: Live, change: Change) -> list[str]:
    names = [*(sproc.name for sproc in change.put), *change.deleted]
    return [name for name in names if name in live.sprocs]


def _load_engine(client: Redis, live: Live, engine: Engine) -> None:
    """Loads the engine, unless it is there: harmless, it only empties a cache."""
    if live.about is not None and live.about.text_id == engine.id:
        return
    try:
        client.execute_command("FUNCTION", "LOAD", "REPLACE", engine.text)
    except ResponseError as error:
        if "already exists" in str(error):
            raise OwnerError(
                f"another function library has the engine's names: {error}; take a namespace of your own"
            ) from error
        raise


def _prove(client: Redis, keys: Keys, change: Change, progress: Callable[[int], None]) -> list[Row]:
    """Compiles on this very server what will be put, and makes the rows to be written while the server compiles.

    Raises:
        ProblemsError: with each source that doesn't compile.
    """
    problems: list[Problem] = []
    rows: list[Row] = []
    connection = client.connection_pool.get_connection()
    try:
        unanswered = 0
        for chunk in _chunks(change.put):
            parts = [part for sproc in chunk for part in (raw(sproc.name), sproc.source)]
            connection.send_command("FCALL_RO", keys.function("compile"), 0, *parts)
            unanswered += 1
            rows += (row_of(keys, sproc) for sproc in chunk)
            if unanswered == COMPILES_AHEAD:
                problems += _answer(connection)
                unanswered -= 1
            progress(len(rows))
        for _ in range(unanswered):
            problems += _answer(connection)
    except BaseException:
        connection.disconnect()  # a reply may still be on its way
        raise
    finally:
        client.connection_pool.release(connection)
    if problems:
        raise ProblemsError(problems)
    return rows


def _answer(connection: Any) -> list[Problem]:
    return [_compile_problem(text(name), text(said)) for name, said in _pairs(connection.read_response())]


def _chunks(sprocs: Iterable[Sproc]) -> Iterable[list[Sproc]]:
    chunk: list[Sproc] = []
    size = 0
    for sproc in sprocs:
        chunk.append(sproc)
        size += len(sproc.source)
        if size >= COMPILE_CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _compile_problem(name: str, message: str) -> Problem:
    line, _, said = message.removeprefix(f"{name}:").partition(":")
    return Problem(name, int(line), 1, said.strip()) if line.isdecimal() else Problem(name, 1, 1, message)


def _singles(keys: Keys) -> tuple[str, ...]:
    return (keys.revision, keys.list, keys.triggers, keys.history, keys.blobs, keys.replaced, keys.digests)


def _still(client: Redis, keys: Keys, live: Live) -> None:
    """What was planned from is still so; what comes after WATCH makes EXEC fail."""
    stored = {} if any(keys.revision in fault for fault in live.faults) else client.hgetall(keys.revision)
    if Revision.parse(stored) != live.revision:
        raise ConflictError("another sync changed the registry first: plan again")


def _outdated(client: Redis, keys: Keys, live: Live, generation: int) -> list[Any]:
    """Blobs that no kept generation replaced."""
    if generation < 1 or any(keys.replaced in fault for fault in live.faults):
        return []
    found: list[Any] = client.zrangebyscore(keys.replaced, "-inf", generation)
    return found


def _triggers(client: Redis, keys: Keys, live: Live, change: Change) -> Mapping[str, str]:
    """The triggers hash after the change: of the sprocs put, and of those live ones that have triggers and stay."""
    put = {sproc.name for sproc in change.put}
    known = {name for names in live.triggers.values() for name in names}
    if live.faults:  # the hash may lack some: ask every sproc
        known = set(change.names)
    kept = (set(change.names) & known) - put
    found = [*change.put, *(read_sprocs(client, keys, sorted(kept)) if kept else ())]
    wanted = [
        Trigger(sproc.name, sproc.metadata.events, sproc.metadata.keys) for sproc in found if "event" in sproc.values
    ]
    return as_fields(sources(wanted, live.info.db))


def _execute(pipe: Any) -> None:
    """EXEC, and every reply checked: MULTI does not roll back a command that fails inside it."""
    try:
        replies = pipe.execute(raise_on_error=False)
    except WatchError as error:
        raise ConflictError("another sync changed the registry first: plan again") from error
    except ExecAbortError as error:
        raise ConflictError(f"the server refused the change, nothing was applied: {error}") from error
    failed = [reply for reply in replies if isinstance(reply, Exception)]
    if failed:
        raise ConflictError(
            f"part of the change failed inside EXEC ({failed[0]}): the registry is dirty, sync again to repair it"
        )


def _read_back(client: Redis, keys: Keys, revision: Revision, engine: Engine, change: Change) -> None:
    """Raises ConflictError unless the server now holds what was sent (or somebody's newer revision)."""
    pipe = client.pipeline(transaction=False)
    pipe.hgetall(keys.revision)
    pipe.execute_command("FCALL_RO", keys.function("about"), 0)
    pipe.llen(keys.list)
    for start in range(0, len(change.put), INSPECT_CHUNK):
        names = (raw(sproc.name) for sproc in change.put[start : start + INSPECT_CHUNK])
        pipe.execute_command("FCALL_RO", keys.function("verify"), 0, *names)
    stored, about, length, *verified = pipe.execute()
    now = Revision.parse(stored)
    if now.generation > revision.generation:
        return
    found = inspected(verified)
    right = all(found[sproc.name].intact and found[sproc.name].blob == sproc.blob for sproc in change.put)
    if now != revision or length != len(change.names) or not right:
        raise ConflictError("read back after the change: not what was sent; sync again to repair it")
    if text(about[4]) != engine.id or text(about[5]) != str(revision.generation):
        raise ConflictError("read back after the change: the engine was not replaced; sync again to repair it")
