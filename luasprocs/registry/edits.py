"""Live edits: a change of a sproc in the registry itself, active at once, which a daemon then commits to git.

The sproc's hash says who edited it (`edit`), until a sync brings the same source from git.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from luasprocs.errors import ConflictError, EditConflictError, NoSprocError, RegistryError
from luasprocs.language import header
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import read_sproc
from luasprocs.registry.apply import apply
from luasprocs.registry.history import read_blobs
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.registry.transaction import Change
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live, LiveSproc, Revision

ATTEMPTS = 5
PAST_LIMIT = 50
"""Of how many edits in a row the blobs are kept: some daemon's commit of one of them may be under way."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`by`: who, `Name <mail>` or user@host; `at`: unix seconds; `base`: git's blob before the first uncommitted edit.

    `past`: the blobs that were live between `base` and now, the newest last. Git may already have one of them.
    """

    by: str
    at: float
    base: str
    past: tuple[str, ...] = ()

    @property
    def blobs(self) -> frozenset[str]:
        """What this edit was made on: where git has another one, somebody else has changed it there."""
        return frozenset((self.base, *self.past))

    def stored(self) -> str:
        """As it stands in `edit`."""
        fields = {name: value for name, value in asdict(self).items() if value or name != "past"}
        return json.dumps(fields)


@dataclass(frozen=True, slots=True)
class LiveEdit:
    """An edit of a live sproc that is not yet committed."""

    name: str
    edit: Edit


def parse_edit(stored: str) -> Edit | None:
    """What stands in `edit`; None where nothing does that can be read."""
    try:
        found = json.loads(stored)
        past = tuple(str(blob) for blob in found.get("past", ()))
        return Edit(str(found["by"]), float(found["at"]), str(found["base"]), past)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_edited(sproc: LiveSproc) -> bool:
    """Whether it is another than git had. An edit that came back to that is remembered, as git may have got it half-way."""
    found = parse_edit(sproc.edit)
    return bool(sproc.edit) and (found is None or found.base != sproc.blob)


def edits_of(live: Live, *, undone: bool = False) -> tuple[LiveEdit, ...]:
    """The edits of a registry, by name. `undone`: those, too, that came back to what git had."""
    some = (sproc for sproc in live.sprocs.values() if (sproc.edit if undone else is_edited(sproc)))
    found = sorted((sproc.name, parse_edit(sproc.edit)) for sproc in some)
    return tuple(LiveEdit(name, edit) for name, edit in found if edit)


def edit(registry: Registry, name: str, source: bytes, *, base: str, by: str) -> Revision:
    """Makes `source` live in place of the blob `base` that the editor saw, as a new generation.

    Raises:
        EditConflictError: something else is live now. NoSprocError: nothing of that name is. ProblemsError: the source is broken.
        ConflictError: others kept changing the registry. OwnerError, redis.RedisError: see luasprocs.apply.
    """
    for attempt in range(ATTEMPTS):
        live = read_live(registry)
        now = _sproc(registry, name)
        if now.blob != base:
            raise EditConflictError(f"{name} was changed meanwhile: look at it again", now.source)
        try:
            return apply(registry, live, _change(live, _edited(live, now, source, by), by, f"edit {name}"))
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


def edit_metadata(registry: Registry, name: str, changes: Mapping[str, str | None], *, base: str, by: str) -> Revision:
    """The same of some keys of the header: their new values as written, None to take one out. All else stays, byte for byte."""
    now = _sproc(registry, name)
    if now.blob != base:
        raise EditConflictError(f"{name} was changed meanwhile: look at it again", now.source)
    return edit(registry, name, header.write(now.source, changes, name), base=base, by=by)


def undo(registry: Registry, name: str, *, by: str) -> Revision:
    """Back to what git has, if it is edited.

    Raises:
        RegistryError: it isn't, or git's source is not kept any more.
    """
    now = _sproc(registry, name)
    found = parse_edit(now.edit)
    if found is None or found.base == now.blob:
        raise RegistryError(f"{name} is not edited live: there is nothing to undo")
    source = read_blobs(registry, [found.base])[found.base]
    return edit(registry, name, source, base=now.blob, by=by)


def blob_like(blob: str, source: bytes) -> str:
    """Git's id of a source, by SHA-256 where `blob` is such an id."""
    algorithm = "sha256" if len(blob) == 64 else "sha1"  # hex digits
    return hashlib.new(algorithm, b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()


def _sproc(registry: Registry, name: str) -> Sproc:
    found = read_sprocs(registry, [name])
    if not found:
        raise NoSprocError(f"NOSPROC no sproc named {name!r} is live: see luasprocs list")
    return found[0]


def _edited(live: Live, now: Sproc, source: bytes, by: str) -> Sproc:
    blob = blob_like(now.blob, source)
    before = parse_edit(now.edit)
    base, past = (before.base, (*before.past, now.blob)[-PAST_LIMIT:]) if before else (now.blob, ())
    sproc = read_sproc(now.name, now.name, source, blob, now.commit)
    values = with_defaults(sproc.values, json.loads(live.revision.defaults or "{}"))
    # Back to `base` it is an edit all the same, if git may already have what was live in between.
    stored = "" if blob == base and not past else Edit(by, round(time.time(), 3), base, past).stored()
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
