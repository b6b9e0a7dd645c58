"""Live edits that can't be committed, and why, as the daemon that follows git saw it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luasprocs.operations.snapshot import Snapshot

_COMMITS = (
    "a daemon that follows git commits it, unless git has changed it, too: luasprocs edit --merge; --undo undoes it"
)


def waiting_edits(snapshot: Snapshot) -> dict[str, str]:
    """Why each that waits does."""
    edits = snapshot.sprocs.edits if snapshot.sprocs else ()
    found = {one.name: snapshot.sync.why_uncommitted(one.name) for one in edits}
    return {name: why for name, why in found.items() if why}


def hint_of(waiting: dict[str, str]) -> str:
    """What becomes of live edits, or what to do."""
    return "; ".join(f"{name} can't be committed: {why}" for name, why in waiting.items()) or _COMMITS
