"""What a rollback keeps out: the blobs that git had of each sproc that was rolled back, until git has others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import parsed_json
from luasprocs.registry.edits import ABSENT, parse_edit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.registry.live import LiveSproc
    from luasprocs.registry.revision import Revision


class Pin(NamedTuple):
    """`by`, `at` (ISO 8601, UTC), `why`: of the last rollback. `blobs`: each sproc to what git may have of it and is kept out.

    `left`: each sproc to the blob that the rollback left of it, ABSENT if it left none. `lifted`: sprocs that were unpinned
    since; the next sync brings what git has of them, and forgets this.
    """

    by: str = ""
    at: str = ""
    why: str = ""
    blobs: Mapping[str, tuple[str, ...]] = {}
    lifted: tuple[str, ...] = ()
    left: Mapping[str, str] = {}

    def stored(self) -> str:
        """As it stands in `Revision`."""
        return json.dumps(self._asdict())

    def holds(self, name: str, blob: str) -> bool:
        """Whether it keeps this blob (ABSENT: that git has none) of a sproc out."""
        return blob in self.blobs.get(name, ())

    def held(self, desired: Mapping[str, str]) -> tuple[str, ...]:
        """Those sprocs that git wants as they were before the rollback, so that they stay as they are. Sorted."""
        return tuple(sorted(name for name in self.blobs if self.holds(name, desired.get(name, ABSENT))))

    def only(self, names: Iterable[str]) -> Pin:
        """The same of some sprocs, as a sync leaves it."""
        kept = set(names)
        blobs = {name: some for name, some in self.blobs.items() if name in kept}
        return self._replace(
            blobs=blobs, left={name: self.left[name] for name in blobs if name in self.left}, lifted=()
        )

    def broken(self, live: Mapping[str, LiveSproc]) -> dict[str, str]:
        """The blobs that the rollback left (ABSENT: none) of those sprocs that somebody has changed by hand since."""
        return {name: blob for name, blob in self.left.items() if _broken(live.get(name), blob)}

    def without(self, names: Iterable[str]) -> Pin:
        """The same, once some sprocs are unpinned."""
        return self.only(self.blobs.keys() - set(names))._replace(lifted=tuple(sorted({*self.lifted, *names})))

    def __str__(self) -> str:
        """`by ann@host: broke the shop`."""
        return f"by {self.by or 'somebody'}" + (f": {self.why}" if self.why else "")


NO_PIN = Pin()


def pin_of(revision: Revision) -> Pin:
    """What stands in `Revision`; NO_PIN if nothing does that can be read."""
    try:
        found = parsed_json(revision.held)
        blobs = {str(name): tuple(map(str, some)) for name, some in found["blobs"].items()}
        left = {str(name): str(blob) for name, blob in found.get("left", {}).items() if name in blobs}
        return Pin(str(found["by"]), str(found["at"]), str(found["why"]), blobs, tuple(map(str, found["lifted"])), left)
    except (ValueError, KeyError, TypeError, AttributeError):
        return NO_PIN


def pinned_after(pin: Pin, live: Mapping[str, LiveSproc], target: Mapping[str, str], names: Iterable[str]) -> Pin:
    """The pin after a rollback of `names` to the blobs in `target`: git's blobs of them are kept out from now on.

    A sproc that gets git's own blob back is held no longer.
    """
    blobs, left = dict(pin.blobs), dict(pin.left)
    for name in names:
        git = pin.blobs.get(name) or _of_git(live.get(name))
        if target.get(name, ABSENT) in git:
            blobs.pop(name, None)
            left.pop(name, None)
        else:
            blobs[name], left[name] = git, target.get(name, ABSENT)
    return pin._replace(blobs=blobs, left=left)


def _broken(sproc: LiveSproc | None, blob: str) -> bool:
    return not sproc.intact if sproc else blob != ABSENT


def _of_git(sproc: LiveSproc | None) -> tuple[str, ...]:
    """What git may have of a live sproc: of an edited one what it was before, or one of its edits, already committed."""
    if sproc is None:
        return (ABSENT,)
    edit = parse_edit(sproc.edit)
    return tuple(dict.fromkeys((*((edit.base, *edit.past) if edit else ()), sproc.blob)))
