"""Whose registry it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import OwnerError, RepositoryError
from luasprocs.registry.apply import check_owner
from sync.reconcile.desired import read_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from sync.git.commits import Commit
    from sync.git.repository import Repository


def owner_of(repository: Repository, live: Live, configured: str, first: Commit | None = None) -> str:
    """This repository's identity: as configured, else its root commit.

    A registry whose commit this repository knows is its own, even if its history was rewritten or is shallow.

    Raises:
        OwnerError: a shallow clone can't tell whether it is the owner.
    """
    if configured:
        return configured
    identity = repository.identity(first)
    theirs = live.revision.owner
    if not theirs or theirs == identity.id:
        return identity.id
    if live.revision.commit and repository.knows(live.revision.commit):
        return theirs if identity.shallow else identity.id
    if identity.shallow:
        raise OwnerError(
            "this clone is shallow, so its ownership of the registry can't be checked: "
            'git fetch --unshallow, or put owner = "…" into luasprocs.toml, or sync with --adopt'
        )
    return identity.id


def require_owner(registry: Registry, repository: Repository) -> Callable[[Live], None]:
    """A check of what is live, for operations that need no git: the registry is this repository's, or nobody's.

    Raises, when it is called:
        OwnerError: another repository owns it.
    """

    def check(live: Live) -> None:
        if live.revision.owner:
            owner = owner_of(repository, live, read_commit(repository).settings.owner)
            check_owner(live, registry.keys, owner, adopt=False)

    return check


def owner_check(registry: Registry, opened: Callable[[], Repository]) -> Callable[[Live], None]:
    """The same if there is a repository that can be used: a rollback works without."""
    try:
        repository = opened()
        repository.resolve()
    except RepositoryError:
        return lambda live: None
    return require_owner(registry, repository)
