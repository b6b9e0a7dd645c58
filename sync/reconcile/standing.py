"""Whether what is live is what git wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import DesiredState
from luasprocs.operations.snapshot import Snapshot, Wanted
from luasprocs.registry.pins import pin_of
from luasprocs.registry.plan import diff
from sync.reconcile.desired import WORKTREE

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.state.desired import SyncState
    from sync.reconcile.desired import Desired


class Standing(NamedTuple):
    """`drift`: what is not as it was applied, names and sentences; `behind`: git has something else, if only for a live edit.

    `refused`: why what git wants is not made live, as far as it is known; `unfit`: the same of saved files that a daemon follows.
    """

    drift: tuple[str, ...]
    behind: bool
    refused: str
    unfit: str
    empty: bool
    pinned: bool

    @property
    def in_sync(self) -> bool:
        """What is live is what git wants."""
        return not (self.drift or self.behind or self.unfit or self.empty or self.pinned)


def wanted_of(live: Live, desired: Desired | None, unreadable: str, forbidden: str) -> Wanted | None:
    """What a repository wants (None: there is none; `unreadable`: why nobody can tell).

    `forbidden`: why this host's policy forbids what is wanted, or "".
    """
    if desired is None:
        return Wanted(unreadable=unreadable) if unreadable else None
    held = pin_of(live.revision).held(desired.entries)  # the pin is a finding itself, and a sync would lift it
    plan = diff(desired.entries, live.sprocs, discard_edits=False, held=held)
    return Wanted(desired.commit.sha, bool(plan or plan.overtaken), bool(plan.edited), forbidden)


def standing_of(snapshot: Snapshot, live: Live) -> Standing:
    """Compares what is live with what a repository wants."""
    seen, wanted = snapshot.sync, snapshot.wanted or Wanted()
    engine = snapshot.sprocs.engine if snapshot.sprocs else ""
    # A daemon that is alive may follow saved files.
    followed = bool(snapshot.running.alive) and seen.state == DesiredState.REFUSED and seen.commit == WORKTREE
    unfit = seen.reason if followed else ""
    return Standing(
        drift=(*live.drift, *map(str, live.faults), *filter(None, (engine, wanted.unreadable))),
        behind=wanted.differs or wanted.edited,
        refused=wanted.refused or _refused(live, wanted.commit or seen.commit, seen) or unfit,
        unfit=unfit,
        empty=live.empty,
        pinned=bool(live.revision.pinned),
    )


def _refused(live: Live, wanted: str, seen: SyncState) -> str:
    """Why what git wants is not made live, as a daemon saw it; what it saw long ago says nothing about today."""
    return seen.reason if seen.state == DesiredState.REFUSED and seen.commit == wanted != live.revision.commit else ""
