"""From a commit to a live registry: read both, compare, apply; and back to an earlier generation.

    git commit -> Desired -> Plan -> Change -> MULTI -> registry
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from luasprocs.apply import Change, apply, check_owner
from luasprocs.errors import ConflictError, OwnerError, RegistryError
from luasprocs.history import read_blobs, read_history, state_at
from luasprocs.registry import Live, engine_of, read_live
from luasprocs.server import require_usable
from luasprocs.sproc import Sproc, read_sproc
from sync.desired import check_sprocs, read_sprocs as read_desired
from sync.identity import applied_by
from sync.plan import Plan, check_prune, diff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Redis

    from luasprocs.keys import Keys
    from sync.desired import Desired
    from sync.repository import Repository

ATTEMPTS = 5
"""How often a sync plans again because another one was first."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a sync may do beside its main job."""

    prune: bool = True
    prune_all: bool = False
    adopt: bool = False
    generations_kept: int = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sync did. `changed` is false when nothing had to be done; `duration_ms` is wall-clock time."""

    commit: str
    generation: int
    plan: Plan
    changed: bool
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what it was made from."""

    live: Live
    plan: Plan
    owner: str


def owner_of(repository: Repository, live: Live, configured: str) -> str:
    """This repository's identity: as configured, else its root commit.

    A registry whose commit this repository knows is its own, even if its history was rewritten or is shallow.

    Raises:
        OwnerError: a shallow clone can't tell whether it is the owner.
    """
    if configured:
        return configured
    identity = repository.identity()
    theirs = live.revision.owner
    if not theirs or theirs == identity.id:
        return identity.id
    if live.revision.commit and repository.knows(live.revision.commit):
        return theirs if identity.shallow else identity.id
    if identity.shallow:
        raise OwnerError(
            "this clone is shallow, so nobody can tell whether it is the repository that owns the registry: "
            "git fetch --unshallow, or put owner = \"…\" into luasprocs.toml, or sync with --adopt"
        )
    return identity.id


def _owned(repository: Repository, live: Live, configured: str, *, adopt: bool) -> tuple[str, bool]:
    """The owner to write, and whether the registry may be taken without asking."""
    owner = repository.identity().id if adopt and not configured else owner_of(repository, live, configured)
    known = bool(live.revision.commit) and not configured and repository.knows(live.revision.commit)
    same_place = live.about is None or live.about.db == str(live.info.db)
    return owner, adopt or (known and same_place)


def prepare(
    client: Redis, keys: Keys, repository: Repository, desired: Desired, options: Options, configured_owner: str = ""
) -> Prepared:
    """Reads what is live in one round trip and compares. Writes nothing.

    Raises:
        ServerError, OwnerError, EngineVersionError: the server or the registry can't take this repository's sprocs.
    """
    live = read_live(client, keys, len(desired.entries))
    require_usable(live.info, writes=True)
    owner, may_take = _owned(repository, live, configured_owner, adopt=options.adopt)
    check_owner(live, keys, owner, adopt=may_take)
    stale = "" if live.empty else live.engine_stale(engine_of(live, keys, owner))
    repairs = (*live.faults, *([stale] if stale else ()))
    plan = diff(desired.entries, live.sprocs, prune=options.prune, repairs=repairs)
    return Prepared(live, plan, owner)


def sync(
    client: Redis,
    keys: Keys,
    repository: Repository,
    desired: Desired,
    options: Options,
    configured_owner: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Makes the registry equal to `desired`; plans again when another sync was first.

    Raises:
        ProblemsError: sprocs are broken; nothing was applied. PruneError, OwnerError, ServerError: see there.
        ConflictError: others kept changing the registry.
    """
    started = time.monotonic()
    for attempt in range(ATTEMPTS):
        prepared = prepare(client, keys, repository, desired, options, configured_owner)
        check_prune(prepared.plan, len(desired.entries), len(prepared.live.sprocs), prune_all=options.prune_all)
        try:
            generation = _apply(client, keys, repository, desired, prepared, options, progress)
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)
            continue
        duration_ms = round((time.monotonic() - started) * 1000)
        before = prepared.live.revision.generation
        return Outcome(desired.commit.sha, generation, prepared.plan, generation != before, duration_ms)
    raise AssertionError("unreachable")


def _apply(
    client: Redis,
    keys: Keys,
    repository: Repository,
    desired: Desired,
    prepared: Prepared,
    options: Options,
    progress: Callable[[int, int], None],
) -> int:
    """The generation that is live afterwards."""
    live, plan = prepared.live, prepared.plan
    revision = live.revision
    same = (revision.commit, revision.owner, revision.pinned) == (desired.commit.sha, prepared.owner, "")
    if same and not plan:
        return revision.generation
    sprocs = read_desired(repository, desired, plan.names_changed)
    check_sprocs(repository, desired, sprocs)
    total, done = len(sprocs), 0

    def compiled(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    kept = () if options.prune else live.sprocs.keys() - desired.entries.keys()
    change = Change(
        commit=desired.commit.sha,
        branch=desired.branch,
        owner=prepared.owner,
        author=desired.commit.author,
        subject=desired.commit.subject,
        applied_by=applied_by(),
        put=tuple(sprocs),
        deleted=plan.deleted,
        names=tuple(sorted({*desired.entries, *kept})),
        adopt=True,  # prepare has checked the owner
        generations_kept=options.generations_kept,
    )
    return apply(client, keys, live, change, compiled).generation


def rollback(client: Redis, keys: Keys, generation: int | None = None) -> Outcome:
    """Makes live what was at an earlier generation (the one before, if none is named), without git, as a new generation.

    Raises:
        RegistryError: that generation is not kept, or is what is live already.
    """
    started = time.monotonic()
    live = read_live(client, keys, expected=0)
    require_usable(live.info, writes=True)
    history = read_history(client, keys)
    wanted = generation if generation is not None else live.revision.generation - 1
    if wanted == live.revision.generation:
        raise RegistryError(f"generation {wanted} is what is live")
    left = live.revision.pinned or live.revision.commit
    entry, blobs = state_at(wanted, {name: sproc.blob for name, sproc in live.sprocs.items()}, history)
    plan = diff(blobs, {name: replace(sproc, intact=True) for name, sproc in live.sprocs.items()})
    change = Change(
        commit=entry.commit,
        branch=entry.branch,
        owner=live.revision.owner,
        author=entry.author,
        subject=entry.subject,
        applied_by=applied_by(),
        put=tuple(_kept_sprocs(client, keys, blobs, plan, entry.commit)),
        deleted=plan.deleted,
        names=tuple(sorted(blobs)),
        pinned="" if entry.commit == left else left,
        action=f"rollback to {wanted}",
    )
    revision = apply(client, keys, live, change)
    return Outcome(entry.commit, revision.generation, plan, True, round((time.monotonic() - started) * 1000))


def _kept_sprocs(
    client: Redis, keys: Keys, blobs: dict[str, str], plan: Plan, commit: str
) -> Iterable[Sproc]:
    sources = read_blobs(client, keys, (blobs[name] for name in plan.names_changed))
    for name in plan.names_changed:
        yield read_sproc(name, name, sources[blobs[name]], blobs[name], commit)
