"""A live edit that git has overtaken, put onto what git has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RegistryError, RepositoryError
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.edits import ABSENT, parse_edit
from luasprocs.registry.history import read_blobs
from sync.git.merge import Merged, merge

if TYPE_CHECKING:
    from luasprocs.language.sproc import Sproc
    from luasprocs.server.registry import Registry
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired


class Overtaken(NamedTuple):
    """`live`: the edited sproc; `git`: what git has of it; `merged`: both."""

    live: Sproc
    git: bytes
    merged: Merged


def put_together(registry: Registry, repository: Repository, desired: Desired, name: str) -> Overtaken:
    """The live edit of a sproc and what git has made of it meanwhile.

    Raises:
        RegistryError: there is no live edit, or git has not changed the sproc since.
        RepositoryError: git has deleted it, or can't merge.
    """
    live = live_sproc(registry, name)
    found, git = parse_edit(live.edit), desired.entries.get(name, ABSENT)
    if found is None:
        raise RegistryError(f"{name} is not edited live: there is nothing to merge")
    if git in found.blobs:
        raise RegistryError(f"git has not changed {name} since it was edited: there is nothing to merge")
    if not git:
        raise RepositoryError(
            f"git has no {desired.path(name)} any more: edit --undo or sync --discard-edits lets it go"
        )
    if git == live.blob:
        raise RegistryError(f"git has the live edit of {name}: there is nothing to merge")
    base = b"" if found.base == ABSENT else read_blobs(registry, [found.base], strict=False).get(found.base)
    if base is None:
        base = repository.blobs([found.base])[found.base]
    theirs = repository.blobs([git])[git]
    labels = ("live", "before the edit", f"git {desired.commit.sha[:10]}")
    return Overtaken(live, theirs, merge(live.source, base, theirs, labels))
