"""What differs: live against git, one generation against another, a source against its edit."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RegistryError
from luasprocs.registry.edits import blob_like, parse_edit
from luasprocs.registry.history import read_blobs
from luasprocs.registry.live import read_sprocs
from luasprocs.state.desired import read_sync_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.registry.edits import Edit
    from luasprocs.registry.history import Generation
    from luasprocs.server.registry import Registry


class Difference(NamedTuple):
    """Two sources of one sproc; None: there is none, or (`lost` has its blob) it is not kept any more."""

    name: str
    before: bytes | None
    after: bytes | None
    lost: str = ""

    def lines(self, before: str = "before", after: str = "after") -> list[str]:
        """A unified diff, `before/NAME` against `after/NAME`."""
        return list(unified(self.before or b"", self.after or b"", f"{before}/{self.name}", f"{after}/{self.name}"))


def unified(before: bytes, after: bytes, old: str, new: str) -> Iterator[str]:
    """The lines of a unified diff of two sources; none if they are equal."""
    was, now = (source.decode("utf-8", "replace").splitlines() for source in (before, after))
    return difflib.unified_diff(was, now, old, new, lineterm="")


def difference_of(name: str, live: bytes | None, git: bytes | None) -> Iterator[str]:
    """The lines of a unified diff of one sproc, `live/NAME` against `git/NAME`; None: `/dev/null`, there is none."""
    old, new = "/dev/null" if live is None else f"live/{name}", "/dev/null" if git is None else f"git/{name}"
    return unified(live or b"", git or b"", old, new)


def generation_differences(registry: Registry, generation: Generation, name: str = "") -> tuple[Difference, ...]:
    """What a generation changed, of one sproc if it is named.

    Raises:
        RegistryError: the kept sources can't be read.
    """
    pairs: dict[str, tuple[str, str]] = {one: ("", blob) for one, blob in generation.created.items()}
    pairs |= generation.updated
    pairs |= {one: (blob, "") for one, blob in generation.deleted.items()}
    wanted = {one: pair for one, pair in sorted(pairs.items()) if name in {"", one}}
    kept = {one.blob: one.source for one in read_sprocs(registry, wanted)}
    kept |= read_blobs(registry, {blob for pair in wanted.values() for blob in pair if blob}, strict=False)
    return tuple(
        Difference(
            one,
            kept.get(before),
            kept.get(after),
            lost=next((blob for blob in (before, after) if blob and blob not in kept), ""),
        )
        for one, (before, after) in wanted.items()
    )


class GitDifference(NamedTuple):
    """How a live sproc differs from what git has of it.

    `waits`: lines of the diff to what git wants and is not live yet; `edit`: of a live edit; `difference`: from git's source
    to the live one, None if they are the same; `why`: the edit can't be committed.
    """

    commit: str
    waits: tuple[str, ...] = ()
    edit: Edit | None = None
    difference: Difference | None = None
    why: str = ""


def git_difference(registry: Registry, name: str) -> GitDifference:
    """How a live sproc differs from git: git wants another source, it is edited live, or was changed by hand.

    Raises:
        RegistryError: there is none of that name, or the kept sources can't be read.
    """
    found = read_sprocs(registry, [name])
    if not found:
        raise RegistryError(f"{name} was deleted meanwhile")
    sproc, edit = found[0], parse_edit(found[0].edit)
    heads = {f"--- live/{name}", f"+++ git/{name}"}
    state = read_sync_state(registry)
    why = state.why_uncommitted(name) if edit else ""
    for diff in state.diffs:
        if heads & set(diff.split("\n", 2)[:2]):
            return GitDifference(sproc.commit, tuple(diff.splitlines()), edit, why=why)
    base = edit.base if edit else sproc.blob
    if blob_like(base, sproc.source) == base:
        return GitDifference(sproc.commit)
    kept = read_blobs(registry, {base}, strict=False)
    difference = Difference(name, kept.get(base), sproc.source, lost="" if base in kept else base)
    return GitDifference(sproc.commit, edit=edit, difference=difference, why=why)
