"""What waits to be applied, as diffs for readers who have no repository at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from luasprocs.operations.diff import difference_of
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.registry.plan import Plan
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired

SPROCS = 100
"""So many are shown; of those beyond, how many they are."""
CHARACTERS = 20_000
"""So much of one diff."""
CHARACTERS_IN_ALL = 200_000
"""Readers fetch all of it every second or two."""


class Diffs:
    """Of one registry; those asked for last are kept."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._of: tuple[Mapping[str, str], Plan] | None = None
        self._found: tuple[str, ...] = ()

    def of(self, repository: Repository, desired: Desired, plan: Plan) -> tuple[str, ...]:
        """A unified diff for each sproc of a plan, `live/NAME` against `git/NAME`; or why git can't tell.

        Raises:
            RegistryError, redis.RedisError: the server can't be asked.
        """
        if plan.drifted or self._of != (desired.entries, plan):  # who edits by hand may do so again
            try:
                self._found = self._read(repository, desired, plan)
            except RepositoryError as error:
                return (str(error),)
            self._of = desired.entries, plan
        return self._found

    def _read(self, repository: Repository, desired: Desired, plan: Plan) -> tuple[str, ...]:
        names = sorted({*plan.created, *plan.updated, *plan.deleted})
        shown = names[:SPROCS]
        live = {sproc.name: sproc.source for sproc in read_sprocs(self._registry, shown)}
        blobs = {name: desired.entries[name] for name in shown if name in desired.entries}
        git = dict(desired.sources) | repository.blobs(set(blobs.values()) - desired.sources.keys())
        said: list[str] = []
        room = CHARACTERS_IN_ALL
        for name in shown:
            one = _cut("\n".join(difference_of(name, live.get(name), git.get(blobs.get(name, "")))))
            room -= len(one)
            if room < 0:
                break
            said.append(one)
        more = len(names) - len(said)
        return (*said, *([f"and {more} more"] if more else []))


def _cut(diff: str) -> str:
    if len(diff) <= CHARACTERS:
        return diff
    lines = diff[:CHARACTERS].split("\n")[:-1]
    return "\n".join((*lines, f"… {len(diff.splitlines()) - len(lines)} more lines"))
