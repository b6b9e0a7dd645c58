"""Live edits: a change of a sproc in the registry itself, active at once, which a daemon then commits to git.

The sproc's hash says who edited it (`edit`), until a sync brings the same source from git.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from luasprocs import header
from luasprocs.apply import apply
from luasprocs.errors import ConflictError, EditConflictError, NoSprocError, RegistryError
from luasprocs.history import read_blobs
from luasprocs.metadata import with_defaults
from luasprocs.registry import read_live, read_sprocs
from luasprocs.sproc import read_sproc
from luasprocs.transaction import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from luasprocs.keys import Keys
    from luasprocs.registry import Live, Revision
    from luasprocs.sproc import Sproc

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Edit:
    """`by`: who, `Name <mail>` or user@host; `at`: unix seconds; `base`: git's blob before the first uncommitted edit."""

    by: str
    at: float
    base: str


@dataclass(frozen=True, slots=True)
class LiveEdit:
    """An edit of a live sproc that is not yet committed."""

    name: str
    edit: Edit


def parse_edit(stored: str) -> Edit | None:
    """What stands in `edit`; None where nothing does that can be read."""
    try:
        found = json.loads(stored)
        return Edit(str(found["by"]), float(found["at"]), str(found["base"]))
    except (ValueError, KeyError, TypeError):
        return None


def edits_of(live: Live) -> tuple[LiveEdit, ...]:
    """The edits of a registry, by name."""
    found = ((name, parse_edit(sproc.edit)) for name, sproc in live.sprocs.items() if sproc.edit)
    return tuple(LiveEdit(name, edit) for name, edit in sorted(found) if edit)


def edit(client: Redis, keys: Keys, name: str, source: bytes, *, base: str, by: str) -> Revision:
    """Makes `source` live in place of the blob `base` that the editor saw, as a new generation.

    Raises:
        EditConflictError: something else is live now. NoSprocError: nothing of that name is. ProblemsError: the source is broken.
        ConflictError: others kept changing the registry. OwnerError, redis.RedisError: see luasprocs.apply.
    """
    for attempt in range(ATTEMPTS):
        live = read_live(client, keys)
        now = _sproc(client, keys, name)
        if now.blob != base:
            raise EditConflictError(f"{name} was changed meanwhile: look at it again", now.source)
        try:
            return apply(client, keys, live, _change(live, _edited(live, now, source, by), by, f"edit {name}"))
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


def edit_metadata(
    client: Redis, keys: Keys, name: str, changes: Mapping[str, str | None], *, base: str, by: str
) -> Revision:
    """The same of some keys of the header: their new values as written, None to take one out. All else stays, byte for byte."""
    now = _sproc(client, keys, name)
    if now.blob != base:
        raise EditConflictError(f"{name} was changed meanwhile: look at it again", now.source)
    return edit(client, keys, name, header.write(now.source, changes, name), base=base, by=by)


def undo(client: Redis, keys: Keys, name: str, *, by: str) -> Revision:
    """Back to what git has, if it is edited.

    Raises:
        RegistryError: it isn't, or git's source is not kept any more.
    """
    now = _sproc(client, keys, name)
    found = parse_edit(now.edit)
    if found is None:
        raise RegistryError(f"{name} is not edited live: there is nothing to undo")
    source = read_blobs(client, keys, [found.base])[found.base]
    return edit(client, keys, name, source, base=now.blob, by=by)


def blob_like(blob: str, source: bytes) -> str:
    """Git's id of a source, by SHA-256 where `blob` is such an id."""
    algorithm = "sha256" if len(blob) == 64 else "sha1"  # hex digits
    return hashlib.new(algorithm, b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()


def _sproc(client: Redis, keys: Keys, name: str) -> Sproc:
    found = read_sprocs(client, keys, [name])
    if not found:
        raise NoSprocError(f"NOSPROC no sproc named {name!r} is live: see luasprocs list")
    return found[0]


def _edited(live: Live, now: Sproc, source: bytes, by: str) -> Sproc:
    blob = blob_like(now.blob, source)
    before = parse_edit(now.edit)
    base = before.base if before else now.blob
    sproc = read_sproc(now.name, now.name, source, blob, now.commit)
    values = with_defaults(sproc.values, json.loads(live.revision.defaults or "{}"))
    stored = "" if blob == base else json.dumps(asdict(Edit(by, round(time.time(), 3), base)))
    return replace(sproc, values=values, edit=stored)


def _change(live: Live, sproc: Sproc, by: str, subject: str) -> Change:
    revision = live.revision
    return Change(
        commit=revision.commit,
        branch=revision.branch,
        owner=revision.owner,
        author=by,
        subject=subject,
        applied_by=by,
        put=(sproc,),
        deleted=(),
        names=tuple(live.sprocs),
        adopt=True,
        pinned=revision.pinned,
        defaults=revision.defaults,
        action="edit",
    )
