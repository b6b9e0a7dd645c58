"""The record of a live edit: a change of a sproc in the registry itself, active at once, which a daemon then commits to git.

The sproc's hash holds it in `edit`, until a sync brings the same source from git. `luasprocs.operations.edit` edits.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import parsed_json, seconds

if TYPE_CHECKING:
    from luasprocs.registry.live import Live, LiveSproc
    from luasprocs.registry.revision import Revision

ABSENT = ""
"""Git's blob of a sproc that git does not have."""
PAST_LIMIT = 50
"""Of how many edits in a row the blobs are kept: some daemon's commit of one of them may be under way."""


class Edit(NamedTuple):
    """`by`: who, `Name <mail>` or user@host; `at`: unix seconds; `base`: git's blob before the first uncommitted edit, or
    ABSENT.

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
        fields = {name: value for name, value in self._asdict().items() if value or name != "past"}
        return json.dumps(fields)


class LiveEdit(NamedTuple):
    """An edit of a live sproc that is not yet committed."""

    name: str
    edit: Edit


def parse_edit(stored: str) -> Edit | None:
    """What stands in `edit`; None where nothing does that can be read."""
    try:
        found = parsed_json(stored)
        past = tuple(str(blob) for blob in found.get("past", ()))
        return Edit(str(found["by"]), seconds(found["at"]), str(found["base"]), past)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_edited(sproc: LiveSproc) -> bool:
    """Whether it is another than git had. An edit that came back to that is remembered, as git may have got it half-way."""
    if not sproc.edit:
        return False
    found = parse_edit(sproc.edit)
    return found is None or found.base != sproc.blob


def edits_of(live: Live, *, undone: bool = False) -> tuple[LiveEdit, ...]:
    """The edits of a registry, by name. `undone`: those, too, that came back to what git had."""
    some = (sproc for sproc in live.sprocs.values() if (sproc.edit if undone else is_edited(sproc)))
    found = sorted((sproc.name, parse_edit(sproc.edit)) for sproc in some)
    return tuple(LiveEdit(name, edit) for name, edit in found if edit)


def blob_like(blob: str, source: bytes) -> str:
    """Git's id of a source, by SHA-256 where `blob` is such an id."""
    algorithm = "sha256" if len(blob) == 64 else "sha1"  # hex digits
    return hashlib.new(algorithm, b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()


def defaults_of(revision: Revision) -> dict[str, str]:
    """The metadata defaults that it was applied with; none where somebody wrote something else."""
    try:
        return {str(key): str(value) for key, value in parsed_json(revision.defaults or "{}").items()}
    except (ValueError, AttributeError):
        return {}
