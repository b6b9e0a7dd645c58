"""Edits a live sproc: the change is active at once, and a daemon commits it to git."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import Action
from luasprocs.errors import ConflictError, EditConflictError, RegistryError
from luasprocs.language import header
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import Sproc, read_sproc
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.apply import apply
from luasprocs.registry.edits import ABSENT, PAST_LIMIT, Edit, blob_like, defaults_of, parse_edit
from luasprocs.registry.history import read_blobs, read_history
from luasprocs.registry.live import read_live
from luasprocs.registry.transaction import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.registry.history import Generation
    from luasprocs.registry.live import Live
    from luasprocs.registry.revision import Revision
    from luasprocs.server.registry import Registry

ATTEMPTS = 5


def edit(
    registry: Registry, name: str, source: bytes, *, base: str, by: str, onto: bytes | None = None
) -> Revision | None:
    """Makes `source` live in place of the blob `base` that the editor saw, as a new generation; None: it was so already.

    `onto`: what git has of it and `source` was merged with, if it was: that is what an undo brings back then.

    Raises:
        EditConflictError: something else is live now. NoSprocError: nothing of that name is. RegistryError: it was changed by
        hand, and the edit would bring that into git.
        ProblemsError: the source is broken. ConflictError: others kept changing the registry.
        OwnerError, redis.RedisError: see `luasprocs.registry.apply`.
    """

    def edited(live: Live) -> Change | None:
        now = _unchanged(registry, name, base)
        if name in live.drift and not _is_git_s(now, source):
            raise RegistryError(
                f"{name} was changed by hand, and not by an edit: luasprocs sync repairs it, then edit it"
            )
        if source == now.source and onto is None:
            return None
        change = _change(live, by, f"edit {name}", put=_edited(live, now, source, by, onto))
        return change._replace(kept={blob_like(base, onto): onto} if onto is not None else {})

    return _applied(registry, edited)


def create(registry: Registry, name: str, source: bytes, *, by: str, check: Callable[[Live], None]) -> Revision | None:
    """Makes a sproc live that neither git nor the registry has, as an edit of nothing. `check`: as of a rollback.

    Raises:
        EditConflictError: one of that name is live. RegistryError: nothing was ever synced there.
        ProblemsError, ConflictError, OwnerError, redis.RedisError: see `edit`.
    """

    def created(live: Live) -> Change:
        check(live)
        if name in live.sprocs:
            raise EditConflictError(f"{name} is live meanwhile: read it", live_sproc(registry, name).source)
        if not live.revision.generation:
            raise RegistryError("nothing is live there yet: the first generation is made by luasprocs sync")
        nothing = Sproc(name, b"", ABSENT, {}, live.revision.commit)
        sproc = _edited(live, nothing, source, by, None)
        return _change(live, by, f"edit {name}", put=sproc._replace(blob=blob_like(live.revision.commit, source)))

    return _applied(registry, created)


def _applied(registry: Registry, change_of: Callable[[Live], Change | None]) -> Revision | None:
    """Applies a change of what is live; tries again if others were faster."""
    for attempt in range(ATTEMPTS):
        live = read_live(registry)
        change = change_of(live)
        try:
            return apply(registry, live, change) if change else None
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


def edit_metadata(
    registry: Registry, name: str, changes: Mapping[str, str | None], *, base: str, by: str
) -> Revision | None:
    """Edits some keys of the header: their new values as written, None removes one. The rest stays, byte for byte.

    Raises:
        See `edit`.
    """
    now = _unchanged(registry, name, base)
    return edit(registry, name, header.write(now.source, changes, name), base=base, by=by)


def undo(registry: Registry, name: str, *, by: str) -> Revision | None:
    """Makes live what git has of an edited sproc; one that git has not goes.

    Raises:
        RegistryError: the sproc is not edited, or git's source is not kept any more. NoSprocError: nothing of that name is live.
    """
    now = live_sproc(registry, name)
    found = parse_edit(now.edit)
    if found is None or found.base == now.blob:
        raise RegistryError(f"{name} has no live edit to undo")
    if found.base == ABSENT:

        def removed(live: Live) -> Change:
            _unchanged(registry, name, now.blob)
            return _change(live, by, f"edit {name}", deleted=name)

        return _applied(registry, removed)
    source = read_blobs(registry, [found.base])[found.base]
    return edit(registry, name, source, base=now.blob, by=by)


class LastChange(NamedTuple):
    """What made a live sproc what it is: `source` was there before."""

    sproc: Sproc
    source: bytes
    generation: Generation


def last_change(registry: Registry, name: str) -> LastChange | None:
    """The last change of a sproc that no live edit covers; None: it has a live edit, which `undo` takes back.

    Raises:
        RegistryError: no generation that is kept changed it, or its source before is not kept.
        NoSprocError: nothing of that name is live.
    """
    now = live_sproc(registry, name)
    found = parse_edit(now.edit)
    if found is not None and found.base != now.blob:
        return None
    for generation in read_history(registry):
        before, after = generation.updated.get(name, ("", ""))
        if before != after and after == now.blob:
            return LastChange(now, read_blobs(registry, [before])[before], generation)
        if name in generation.created or before != after:
            break
    raise RegistryError(f"{name} has no change to undo: see luasprocs history --sproc {name}")


def _unchanged(registry: Registry, name: str, base: str) -> Sproc:
    now = live_sproc(registry, name)
    if now.blob != base:
        raise EditConflictError(f"{name} has changed meanwhile: read it again", now.source)
    return now


def _is_git_s(now: Sproc, source: bytes) -> bool:
    """Whether an edit would bring back what git has, so that nothing is kept of what is live."""
    before = parse_edit(now.edit)
    return before is not None and before.base == blob_like(now.blob, source)


def _edited(live: Live, now: Sproc, source: bytes, by: str, onto: bytes | None) -> Sproc:
    blob = blob_like(now.blob, source)
    before = parse_edit(now.edit)
    base, past = (before.base, (*before.past, now.blob)[-PAST_LIMIT:]) if before else (now.blob, ())
    if onto is not None:
        base, past = blob_like(now.blob, onto), ()
    sproc = read_sproc(now.name, now.name, source, blob, now.commit)
    values = with_defaults(sproc.values, defaults_of(live.revision))
    # Back to `base` it is an edit all the same, if git may already have what was live in between.
    stored = "" if blob == base and not past else Edit(by, round(time.time(), 3), base, past).stored()
    return sproc._replace(values=values, edit=stored)


def _change(live: Live, by: str, subject: str, *, put: Sproc | None = None, deleted: str = "") -> Change:
    revision = live.revision
    names = {*live.sprocs, *([put.name] if put else [])} - {deleted}
    return Change(
        commit=revision.commit,
        branch=revision.branch,
        owner=revision.owner,
        author=by,
        subject=subject,
        applied_by=by,
        put=(put,) if put else (),
        deleted=(deleted,) if deleted else (),
        names=tuple(sorted(names)),
        pinned=revision.pinned,
        held=revision.held,
        defaults=revision.defaults,
        action=Action.EDIT,
    )
