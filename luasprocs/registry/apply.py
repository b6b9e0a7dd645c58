"""Makes a change live in one MULTI, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from luasprocs.engine import VERSION, render
from luasprocs.errors import EngineVersionError, OwnerError, ProblemsError
from luasprocs.language.needs import Needs, needs_of, together
from luasprocs.registry.functions import function_problems, require_free
from luasprocs.registry.live import Live, engine_of, read_sprocs
from luasprocs.registry.ready import Ready
from luasprocs.registry.revision import Revision
from luasprocs.registry.schedules import schedules_that_change
from luasprocs.registry.server_compile import Proof, batches_of, prove
from luasprocs.registry.shards import apply_to_shards, same_on
from luasprocs.registry.transaction import Change
from luasprocs.server.registry import Registry
from luasprocs.server.shards import at_once

if TYPE_CHECKING:
    from collections.abc import Callable

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

    `proof`: that of `change.put`, if the caller had it made while reading them. In a cluster nothing is applied anywhere unless
    all shards can take it; all have one generation afterwards.

    Raises:
        OwnerError, EngineVersionError: see `check_owner` and `require_free`; nothing was written.
        ProblemsError: a source does not compile on this server; nothing was applied.
        ConflictError: the registry changed since `live` was read (plan again), or a reply was not what it should be.
        ShardError: some shards have it, others not; those are brought in line by the next sync.
        redis.RedisError: the server refused or is gone; if before EXEC, nothing was applied.
    """
    first = _ready(registry, live, change, progress, proof)
    if not registry.keys.tag:
        first.execute()
        return first.revision
    with schedules_that_change(registry, live, change):
        return apply_to_shards(registry, first, _beside(registry, live, change, proof))


def _beside(registry: Registry, live: Live, change: Change, proof: Proof | None) -> list[Ready]:
    """What makes the other shards equal to the first. `proof`: that of the first, maybe with those of the others beside it."""
    proofs = proof.beside if proof and proof.beside else (None,) * len(registry.siblings)

    def ready(one: tuple[Registry, Live, Proof | None]) -> Ready:
        shard, its, proven = one
        own = same_on(its, registry, live, change)
        if proven and len(own.put) == len(proven.sprocs):  # it lacks nothing else
            return _ready(shard, its, own._replace(put=proven.sprocs), proof=proven)
        return _ready(shard, its, own)

    return at_once(list(zip(registry.siblings, live.siblings, proofs, strict=True)), ready)


def _ready(
    registry: Registry,
    live: Live,
    change: Change,
    progress: Callable[[int], None] = lambda _: None,
    proof: Proof | None = None,
) -> Ready:
    """All that can be found out before anything is applied: that this server takes it. Raises as `apply`."""
    check_owner(live, registry.keys, change.owner, adopt=change.adopt)
    if proof is None:
        if live.about is None:
            require_free(registry, adopt=change.adopt)
        engine = engine_of(live, registry.keys, change.owner)
        proof = prove(registry, live, engine, batches_of(registry, change.put), progress, adopt=change.adopt)
    if proof.problems:
        raise ProblemsError(proof.problems)
    needs = together((proof.needs, _needs_of_others(registry, live, change)))
    if problems := list(function_problems(registry, live, needs, change.put)):
        raise ProblemsError(problems)
    engine = proof.engine
    if needs != live.needs:
        engine = render(registry.keys, change.owner, live.info.db, engine.secret, needs)
    return Ready(registry, live, change, engine, proof.rows, needs, _revision(live, change))


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


def _needs_of_others(registry: Registry, live: Live, change: Change) -> Needs:
    """What is needed by the live sprocs that stay."""
    put = {sproc.name for sproc in change.put}
    kept = (set(change.names) & (set(change.names) if live.faults else live.needs.sprocs)) - put
    return needs_of((sproc.name, sproc.values) for sproc in (read_sprocs(registry, sorted(kept)) if kept else ()))
