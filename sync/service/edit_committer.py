"""Commits what was edited live, before a sync replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from luasprocs.registry.edits import edits_of
from sync.reconcile.desired import WORKTREE
from sync.reconcile.live_edits import WAYS_OUT, commit_pending, new_claim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from sync.reconcile.desired import Desired
    from sync.service.rules import Rules
    from sync.service.sources import Source


class EditCommitter:
    """Commits live edits of one registry; remembers which ones wait, and why."""

    def __init__(self, registry: Registry, source: Source, rules: Rules) -> None:
        self._registry, self._source, self._rules = registry, source, rules
        self._waiting: dict[str, str] = {}
        self._overtaken: tuple[str, ...] = ()
        self._claim = new_claim()

    def look(self, overtaken: Iterable[str]) -> None:
        """`overtaken`: edits of sprocs that git has changed, too."""
        self._overtaken = tuple(overtaken)

    @property
    def waiting(self) -> dict[str, str]:
        """The edits that wait, and why, by name."""
        found = dict.fromkeys(self._overtaken, f"git has changed it, too: {WAYS_OUT}") | self._waiting
        return dict(sorted(found.items()))

    def said(self) -> str:
        """The same as a sentence; "" if none waits."""
        return "; ".join(f"the live edit of {name} waits: {why}" for name, why in self.waiting.items())

    def commit(self, desired: Desired, live: Live, late: str = "") -> Desired | None:
        """Commits live edits. Returns the new desired state, or None if nothing was committed.

        `late`: why the remote can't be fetched, so that nothing could be pushed. During a fetch edits wait for its end.
        """
        self._waiting = {}
        if not self._may_commit(desired, live):
            return None
        if late:
            self._wait(live, late)
            return None
        with self._source.unfetched() as alone:
            return self._commit(desired, live) if alone else None

    def _commit(self, desired: Desired, live: Live) -> Desired | None:
        try:
            done = commit_pending(
                *(self._registry, live, self._source.repository, desired),
                claim=self._claim,
                sign=self._rules.policy.signed,
            )
            self._waiting = dict(done.waiting)
            if not done.sha:
                return None
            self._source.publish(done.sha, desired.commit.sha, desired.branch)
            return self._source.desired()
        except RepositoryError as error:
            self._wait(live, str(error))
            return None

    def _wait(self, live: Live, why: str) -> None:
        self._waiting = {one.name: why for one in edits_of(live)}

    def _may_commit(self, desired: Desired, live: Live) -> bool:
        mode = self._rules.live_edits or ("commit" if self._source.writable else "keep")
        return mode == "commit" and desired.commit.sha != WORKTREE and any(one.edit for one in live.sprocs.values())
