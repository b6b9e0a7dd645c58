"""What is to be live while a rollback keeps out what git wants."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from luasprocs.registry.edits import ABSENT
from luasprocs.registry.history import read_blobs
from sync.reconcile.desired import read_commit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.registry.revision import Revision
    from luasprocs.server.registry import Registry
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired


def read_left(repository: Repository, revision: Revision) -> Desired | None:
    """What the commit wants that is live, with the defaults that are; None if this repository hasn't got it.

    Raises:
        RepositoryError, SettingsError: it can't be read.
    """
    if not repository.knows(revision.commit):
        return None
    found = read_commit(repository, revision.commit)
    defaults = json.loads(revision.defaults or "{}")
    return replace(found, branch=revision.branch, settings=replace(found.settings, defaults=defaults))


def as_left(registry: Registry, desired: Desired, left: Mapping[str, str]) -> Desired:
    """The same with other blobs of some sprocs (ABSENT: none). Their sources are in the registry, or in git."""
    if not left:
        return desired
    entries = {name: blob for name, blob in {**desired.entries, **left}.items() if blob != ABSENT}
    kept = read_blobs(registry, set(left.values()) - {ABSENT}, strict=False)
    return replace(desired, entries=entries, sources={**desired.sources, **kept})
