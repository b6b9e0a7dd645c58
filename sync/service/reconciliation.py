"""The result of reconciling a registry with git."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import DesiredState
from luasprocs.registry.plan import Plan
from luasprocs.state.desired import SyncState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from luasprocs.errors import Problem
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import SyncOutcome
    from sync.reconcile.desired import Desired


class Reconciliation(NamedTuple):
    """`failing`: `git` or `redis` if it could not be read; `again`: reconcile again at once.

    `applied`: whether a sync was done; `summary`: which one. `healed`: what it put right that somebody had changed by hand.
    `elsewhere`: the namespace that is to be served instead, as git says so.
    """

    state: SyncState
    applied: bool = False
    summary: str = ""
    failing: str = ""
    again: bool = False
    generation: int = 0
    healed: tuple[str, ...] = ()
    elsewhere: str | None = None

    @classmethod
    def failed(cls, what: str, why: str) -> Reconciliation:
        """The result if `git` or `redis` could not be read."""
        state = DesiredState.UNREACHABLE if what == "redis" else DesiredState.DEGRADED
        return cls(SyncState(state=state, reason=why, at=time.time()), failing=what)

    @classmethod
    def seen(cls, live: Live, state: SyncState) -> Reconciliation:
        """The result with what is known of the live registry."""
        return cls(state._replace(at=time.time()), generation=live.revision.generation)

    def without_fetch(self, why: str) -> Reconciliation:
        """The same after a failed fetch: the registry is kept equal to what was fetched before."""
        return self._replace(state=self.state._replace(state=DesiredState.DEGRADED, reason=why), failing="git")

    def because(self, reason: str) -> Reconciliation:
        """The same with one more reason."""
        reasons = "; ".join(filter(None, (self.state.reason, reason)))
        return self._replace(state=self.state._replace(reason=reasons))


def summary(outcome: SyncOutcome) -> str:
    """One line about a sync."""
    plan = outcome.plan
    what = f"{len(plan.created)} created, {len(plan.updated)} updated, {len(plan.deleted)} deleted"
    return f"{outcome.commit[:10]} as generation {outcome.generation}: {what} ({outcome.duration_ms} ms)"


def kept_out(plan: Plan, desired: Desired, live: Collection[str]) -> Plan:
    """What a sync would do to the sprocs that a rollback holds, if it lifted that."""
    return Plan(
        created=tuple(name for name in plan.held if name not in live),
        updated=tuple(name for name in plan.held if name in live and name in desired.entries),
        deleted=tuple(name for name in plan.held if name not in desired.entries),
        unchanged=0,
    )


def first_of(problems: Sequence[Problem]) -> str:
    """The first of some problems, and how many more there are."""
    first, more = problems[0], len(problems) - 1
    return f"{first}" + (f" (and {more} more)" if more else "")
