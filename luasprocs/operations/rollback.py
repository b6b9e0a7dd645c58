"""Back to an earlier generation, without git; and the end of the pin that a rollback leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Action
from luasprocs.errors import ConflictError, RegistryError
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from luasprocs.operations.diff import Difference
from luasprocs.operations.sprocs import not_live
from luasprocs.registry.apply import apply
from luasprocs.registry.edits import defaults_of
from luasprocs.registry.history import Generation, before_last_change, last_other, read_blobs, read_history, state_at
from luasprocs.registry.live import Live, read_live, read_sprocs
from luasprocs.registry.pins import pin_of, pinned_after
from luasprocs.registry.plan import Plan, SyncOutcome, diff
from luasprocs.registry.transaction import Change
from luasprocs.server.info import require_usable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from luasprocs.server.registry import Registry


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rollback would do. `live`: the generation that it would start from; `to`: where it goes."""

    live: int
    to: Generation
    plan: Plan
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """From what is live to what was, of `sproc` alone if it is named. `blobs`: as it will be; `sources`: by blob, if kept."""

    sproc: str
    live: Live
    to: Generation
    plan: Plan
    blobs: Mapping[str, str]
    sources: Mapping[str, bytes]


def preview(registry: Registry, generation: int | None = None, sproc: str = "") -> Preview:
    """What `rollback` would do, without doing it. Sources that are not kept any more are named by the difference.

    Raises:
        RegistryError: that generation is live, or is not kept. NoSprocError: there is no such sproc, and was none.
    """
    way = _way(registry, read_live(registry), generation, sproc)
    changed = sorted({*way.plan.names_changed, *way.plan.deleted})
    now = {sproc.name: sproc.source for sproc in read_sprocs(registry, changed)}
    differences = []
    for name in changed:
        wanted = way.blobs.get(name, "")
        lost = wanted if wanted and wanted not in way.sources else ""
        differences.append(Difference(name, now.get(name), way.sources.get(wanted), lost=lost))
    return Preview(way.live.revision.generation, way.to, way.plan, tuple(differences))


def rollback(
    registry: Registry,
    generation: int | None = None,
    *,
    by: str,
    why: str = "",
    sproc: str = "",
    check: Callable[[Live], None] = lambda live: None,
) -> SyncOutcome:
    """Makes live what was, as a new generation, and pins it: what git has of the sprocs that change is kept out.

    `generation`: None for the last one whose sprocs differ; of one sproc the one before its last change. `sproc`: "" for all.
    `check` raises if what is live is none of the caller's business.

    Raises:
        RegistryError: that generation is not kept, or what it had is live already.
        NoSprocError: there is no such sproc, and was none.
        ConflictError: another change was first.
        ServerError: the server can't be used. redis.RedisError: the connection or a right failed.
    """
    started_s = time.monotonic()
    live = read_live(registry)
    check(live)
    require_usable(live.info, writes=True)
    way = _way(registry, live, generation, sproc)
    change = _change(way, by)._replace(why=why)
    change = _pinning(way, change)
    try:
        revision = apply(registry, live, change)
    except ConflictError as error:
        raise ConflictError(f"not rolled back ({error}): check luasprocs history, then try again") from error
    return SyncOutcome(change.commit, revision.generation, way.plan, True, round((time.monotonic() - started_s) * 1000))


def unpin(registry: Registry, names: Iterable[str] = (), *, by: str, why: str = "") -> tuple[str, ...]:
    """Lets syncs bring again what a rollback keeps out, of all sprocs or those named, as a new generation. Returns their names.

    Raises:
        RegistryError: nothing is kept out, or nothing of one of `names`. ConflictError: another change was first.
    """
    live = read_live(registry)
    revision, pin = live.revision, pin_of(live.revision)
    if not revision.pinned:
        raise RegistryError("no rollback keeps anything out: there is nothing to unpin")
    lifted = sorted(set(names)) or sorted(pin.blobs)
    if unknown := [name for name in lifted if name not in pin.blobs]:
        raise RegistryError(f"no rollback keeps anything of {unknown[0]} out: luasprocs status lists what is kept out")
    left = pin.without(lifted)
    change = _same_sprocs(live, by)._replace(subject=f"unpin {', '.join(lifted)}".strip(), why=why, action="unpin")
    apply(registry, live, change._replace(pinned=revision.pinned if left.blobs else "", held=left.stored()))
    return tuple(lifted)


def _same_sprocs(live: Live, by: str) -> Change:
    """A generation that changes no sproc."""
    revision = live.revision
    return Change(
        commit=revision.commit,
        branch=revision.branch,
        owner=revision.owner,
        author=by,
        subject="",
        applied_by=by,
        put=(),
        deleted=(),
        names=tuple(live.sprocs),
        defaults=revision.defaults,
    )


def _way(registry: Registry, live: Live, generation: int | None, sproc: str) -> _Way:
    history, now = read_history(registry), {name: sproc.blob for name, sproc in live.sprocs.items()}
    if sproc and sproc not in now and not any(sproc in one.touched for one in history):
        raise not_live(registry, sproc)
    wanted = _default(live, now, history, sproc) if generation is None else generation
    if wanted == live.revision.generation:
        raise RegistryError(f"generation {wanted} is already live")
    entry, blobs = state_at(wanted, now, history)
    others = live.sprocs.keys() - {sproc} if sproc else ()
    if sproc:
        was = {name: blob for name, blob in blobs.items() if name == sproc}
        blobs = {name: live.sprocs[name].blob for name in others} | was
    # A live edit that was made before then stays one.
    edited = {name for name, one in live.sprocs.items() if one.edit and one.intact and blobs.get(name) == one.blob}
    plan = diff(blobs, live.sprocs, held={*others, *edited})
    if not plan:
        same = f"{sproc} is" if sproc else "all sprocs are"
        raise RegistryError(f"{same} as in generation {wanted}: see luasprocs history")
    at_hand = {git_blob_id(sproc.source): sproc.source for sproc in read_sprocs(registry, plan.drifted)}
    at_hand |= read_blobs(registry, (blobs[name] for name in plan.drifted), strict=False)
    lost = {name for name in plan.drifted if blobs[name] not in at_hand}
    # One that was edited by hand, and whose old source nobody has, stays as it is.
    updated = tuple(name for name in plan.updated if name not in lost)
    edits = tuple(name for name in (*updated, *plan.deleted) if name in live.sprocs and live.sprocs[name].edit)
    plan = plan._replace(
        updated=updated, unchanged=plan.unchanged + len(lost), drifted=(), held=(), overwritten=tuple(sorted(edits))
    )
    at_hand |= read_blobs(registry, {blobs[name] for name in plan.names_changed} - at_hand.keys(), strict=False)
    return _Way(sproc, live, entry, plan, blobs, at_hand)


def _default(live: Live, now: Mapping[str, str], history: Iterable[Generation], sproc: str) -> int:
    if sproc:
        return before_last_change(sproc, history)
    if live.revision.generation <= 1:
        raise RegistryError("there is no earlier generation to roll back to: see luasprocs history")
    if (found := last_other(now, history)) is None:
        raise RegistryError("no generation that is kept has other sprocs: see luasprocs history")
    return found


def _change(way: _Way, by: str) -> Change:
    live, to, plan = way.live, way.to, way.plan
    if lost := [way.blobs[name] for name in plan.names_changed if way.blobs[name] not in way.sources]:
        raise RegistryError(f"the source of blob {lost[0]} is no longer kept: use sync --revision with an older commit")
    one = way.sproc
    commit = live.revision.commit if one else to.commit
    defaults = defaults_of(live.revision)
    read = (
        read_sproc(name, name, way.sources[way.blobs[name]], way.blobs[name], commit) for name in plan.names_changed
    )
    return _same_sprocs(live, by)._replace(
        commit=commit,
        branch=live.revision.branch if one else to.branch,
        author=by if one else to.author,
        subject=f"rollback of {one}" if one else to.subject,
        put=tuple(_with(sproc, defaults) for sproc in read),
        deleted=plan.deleted,
        names=tuple(sorted(way.blobs)),
        action=f"{Action.ROLLBACK} to {to.generation}",
    )


def _with(sproc: Sproc, defaults: Mapping[str, str]) -> Sproc:
    return sproc._replace(values=with_defaults(sproc.values, defaults))


def _pinning(way: _Way, change: Change) -> Change:
    """With what is kept out from then on: nothing, if all is as git had it before the first rollback."""
    revision = way.live.revision
    names = {*way.plan.names_changed, *way.plan.deleted}
    pin = pinned_after(pin_of(revision), way.live.sprocs, way.blobs, names)
    left = revision.pinned or revision.commit
    if not pin.blobs and (way.sproc or change.commit == left):
        return change
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return change._replace(pinned=left, held=pin._replace(by=change.applied_by, at=at, why=change.why).stored())
