"""The facts behind a decision: how the desired and the live commit are related."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from luasprocs.state.desired import read_suspended, read_sync_state
from sync.reconcile.decision import Facts
from sync.reconcile.desired import WORKTREE

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from sync.reconcile.desired import Desired
    from sync.service.sources import Source


def read_facts(registry: Registry, source: Source, desired: Desired, live: Live, seen: str) -> Facts:
    """Asks git and the registry. `seen`: the commit of the source when this daemon last reconciled, or "".

    Raises:
        RepositoryError, redis.RedisError: git or the server can't be asked.
    """
    wanted, current, pinned = desired.commit.sha, live.revision.commit, live.revision.pinned
    suspended = read_suspended(registry)
    facts = Facts(wanted, current, suspended=str(suspended or ""), pinned=pinned, worktree=wanted == WORKTREE)
    if facts.worktree or not (pinned or (current and wanted != current)):
        return facts
    repository = source.repository
    ahead = repository.is_ancestor(current, wanted)
    return replace(
        facts,
        moved=seen != wanted if seen else _moved_before(registry, source, wanted, current),
        known=ahead or repository.knows(current),
        ahead=ahead,
        behind=not ahead and repository.is_ancestor(wanted, current),
        after_pin=bool(pinned) and wanted != pinned and repository.is_ancestor(pinned, wanted),
        before_pin=bool(pinned) and repository.is_ancestor(wanted, pinned),
    )


def _moved_before(registry: Registry, source: Source, wanted: str, current: str) -> bool:
    """Whether the branch moved since an earlier daemon synced this source."""
    last = read_sync_state(registry)
    return last.source == source.name and last.commit == current != wanted
