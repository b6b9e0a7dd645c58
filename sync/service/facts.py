"""The facts behind a decision: how the desired and the live commit are related."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from luasprocs.registry.pins import pin_of
from luasprocs.state.desired import read_suspended, read_sync_state
from sync.reconcile.decision import Facts
from sync.reconcile.desired import WORKTREE

if TYPE_CHECKING:
    from collections.abc import Collection

    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from sync.reconcile.desired import Desired
    from sync.service.sources import Source


def read_facts(
    registry: Registry, source: Source, desired: Desired, live: Live, contained: Collection[str] | None
) -> Facts:
    """Asks git and the registry. `contained`: commits that this daemon has seen its branch contain; None: it has not looked yet.

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
    on_pin = bool(pinned) and repository.is_ancestor(pinned, wanted)
    was_on = _was_on(registry, source, desired, current) if contained is None else current in contained
    return replace(
        facts,
        moved=not ahead and was_on,
        known=ahead or repository.knows(current),
        ahead=ahead,
        behind=not ahead and repository.is_ancestor(wanted, current),
        after_pin=on_pin and wanted != pinned,
        before_pin=bool(pinned) and repository.is_ancestor(wanted, pinned),
        off_pin=not on_pin and pinned in (contained or ()),
        lifted=bool(pin_of(live.revision).lifted),
    )


def contained_by(facts: Facts) -> frozenset[str]:
    """Of the live commit and the pinned one those that the branch contains, or has left while a daemon followed it. Pure."""
    live = {facts.live} if facts.ahead or facts.moved or facts.wanted == facts.live else set()
    pinned = {facts.pinned} if facts.after_pin or facts.off_pin or facts.wanted == facts.pinned else set()
    return frozenset((live | pinned) - {""})


def _was_on(registry: Registry, source: Source, desired: Desired, current: str) -> bool:
    """Whether an earlier daemon saw this branch of this source at the live commit. Of a new mirror nobody can tell."""
    last = read_sync_state(registry)
    same = (last.source, last.branch) == (source.name, desired.branch)
    return bool(desired.branch) and same and last.commit == current and not source.new
