"""What the repository around a session's folder wants live, as far as it can be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from sync.git.checkout import has_repository
from sync.reconcile.policy import Policy
from sync.reconcile.standing import wanted_of

if TYPE_CHECKING:
    from luasprocs.operations.snapshot import Wanted
    from luasprocs.registry.live import Live
    from sync.reconcile.desired import Desired
    from sync.session import Session


def desired_here(session: Session) -> tuple[Desired | None, str]:
    """What the repository wants, or why nobody can tell; neither where there is no repository."""
    try:
        session.repository  # noqa: B018  # opened here, so that what is wrong in it is told apart
    except RepositoryError as error:
        return None, f"git: {error}" if has_repository(session.settings.repo or Path.cwd()) else ""
    try:
        return session.desired(None, worktree=False), ""
    except RepositoryError as error:
        return None, f"git: {error}"


def wanted_here(session: Session, live: Live, desired: Desired | None, unreadable: str) -> Wanted | None:
    """The same beside what is live, and what this host's policy says of it."""
    forbidden = ""
    if desired is not None:
        policy = Policy.of(session.settings)
        forbidden = policy.refusal(session.repository, desired.commit, live.revision.commit, desired.folder)
    return wanted_of(live, desired, unreadable, forbidden)
