"""Whether what is live is what git wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.registry.live import Live, engine_of, read_live
from luasprocs.registry.plan import diff
from luasprocs.state.desired import read_sync_state
from sync.reconcile.decision import State
from sync.reconcile.desired import WORKTREE

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.server.registry import Registry
    from luasprocs.state.desired import SyncState
    from sync.reconcile.desired import Desired


@dataclass(frozen=True, slots=True)
class Standing:
    """`drift`: what is not as it was applied, names and sentences; `behind`: git wants something else.

    `refused`: why what git wants is not made live, as far as it is known; `unfit`: the same of saved files that a daemon follows.
    """

    live: Live
    drift: tuple[str, ...]
    behind: bool
    refused: str
    unfit: str

    @property
    def as_wanted(self) -> bool:
        """What is live is what git wants, or what a rollback wanted."""
        return not (self.drift or self.behind or self.unfit or self.live.empty)

    @property
    def in_sync(self) -> bool:
        """What is live is what git wants."""
        return self.as_wanted and not self.live.revision.pinned


def read_standing(
    registry: Registry,
    desired: Desired | None,
    unreadable: str = "",
    forbidden: Callable[[str], str] = lambda live: "",
    *,
    followed: bool,
) -> Standing:
    """Compares what is live with what a repository wants (None: there is none; `unreadable`: why nobody can tell).

    `forbidden`: why this host's policy forbids what is wanted where a commit is live, or "". `followed`: whether a daemon is
    alive, which may follow saved files.
    """
    live = read_live(registry, len(desired.entries) if desired else 0)
    seen = read_sync_state(registry)
    stale = "" if live.empty else live.engine_stale(engine_of(live, registry.keys, live.revision.owner))
    unfit = seen.reason if followed and seen.state == State.REFUSED and seen.commit == WORKTREE else ""
    return Standing(
        live=live,
        drift=(*live.drift, *map(str, live.faults), *filter(None, (stale, unreadable))),
        behind=desired is not None and bool(diff(desired.entries, live.sprocs)),
        refused=forbidden(live.revision.commit) or _refused(live, desired, seen) or unfit,
        unfit=unfit,
    )


def _refused(live: Live, desired: Desired | None, seen: SyncState) -> str:
    """Why what git wants is not made live, as a daemon saw it; what it saw long ago says nothing about today."""
    wanted = desired.commit.sha if desired else seen.commit
    return seen.reason if seen.state == State.REFUSED and seen.commit == wanted != live.revision.commit else ""
