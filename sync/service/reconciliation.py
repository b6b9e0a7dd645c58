"""What became of bringing a registry to what git wants."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.state.desired import SyncState
from sync.reconcile.decision import State

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Outcome


class Reconciliation(NamedTuple):
    """`failing`: `git` or `redis` if one of them could not be read; `again`: it is worth to reconcile again at once.

    `applied`: a sync was done, `summary` says which. `evicts`: why the server may lose the registry, or "".
    """

    state: SyncState
    applied: bool = False
    summary: str = ""
    failing: str = ""
    again: bool = False
    generation: int = 0
    evicts: str = ""

    @classmethod
    def failed(cls, what: str, why: str) -> Reconciliation:
        """`git` or `redis` could not be read."""
        state = State.UNREACHABLE if what == "redis" else State.DEGRADED
        return cls(SyncState(state=state, reason=why, at=time.time()), failing=what)

    @classmethod
    def seen(cls, live: Live, state: SyncState) -> Reconciliation:
        """Of what is live now."""
        evicts = live.info.maxmemory_policy if live.info.evicts else ""
        return cls(replace(state, at=time.time()), generation=live.revision.generation, evicts=evicts)

    def without_fetch(self, why: str) -> Reconciliation:
        """The remote could not be asked. What was fetched before is still kept in place."""
        return self._replace(state=replace(self.state, state=State.DEGRADED, reason=why), failing="git")

    def because(self, reason: str) -> Reconciliation:
        """With one more reason."""
        reasons = "; ".join(filter(None, (self.state.reason, reason)))
        return self._replace(state=replace(self.state, reason=reasons))


def summary(outcome: Outcome) -> str:
    """In a line."""
    plan = outcome.plan
    what = f"{len(plan.created)} created, {len(plan.updated)} updated, {len(plan.deleted)} deleted"
    return f"{outcome.commit[:10]} as generation {outcome.generation}: {what} ({outcome.duration_ms} ms)"
