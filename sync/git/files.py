"""Files that git has stored, by their paths: in a commit, in the index, and those that differ between two commits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from sync.git.entries import SYMLINK, Entry, below, read_staged, read_tree_entry, records

if TYPE_CHECKING:
    from pathlib import Path

    from sync.git.process import Git

_BLOBS = {"100644", "100755", SYMLINK}


def entry(git: Git, revision: str, path: str) -> Entry | None:
    """A file of a commit ("": of the index), or None where there is none. Its size is None if its blob is missing."""
    if revision:
        status, output, _ = git.run("ls-tree", "-z", "-l", "--full-tree", revision, "--", path)
        found = [read_tree_entry(line) for line in records(output)] if status == 0 else []
    else:
        lines = [read_staged(line) for line in records(git.must("ls-files", "-s", "-z", "--", path))]
        sizes = git.sizes(blob for _, (_, blob) in lines)
        found = [Entry(name, mode, blob, sizes.get(blob)) for name, (mode, blob) in lines]
    return next((one for one in found if one.path == path and one.mode in _BLOBS), None)


def staged(git: Git, folder: str) -> list[Entry]:
    """All staged files below `folder`, their paths relative to it; without those of `git add -N`, which no commit has.

    Raises:
        RepositoryError: a file, a symlink or a submodule stands in the folder's place.
    """
    found = dict(map(read_staged, records(git.must("ls-files", "-s", "-z", "--full-name", "--", folder or "."))))
    sizes = git.sizes(blob for mode, blob in found.values() if mode in _BLOBS)
    if any(sizes.get(blob) == 0 for _, blob in found.values()):
        for path in records(git.must("diff-files", "-z", "--name-only", "--diff-filter=A", "--", folder or ".")):
            found.pop(path, None)
    if folder and folder in found:
        raise RepositoryError(
            f"{folder!r} is staged as something else than a folder: stage sprocs there, "
            'or name their folder in luasprocs.toml (folder = "…")'
        )
    return [Entry(below(path, folder), mode, blob, sizes.get(blob)) for path, (mode, blob) in found.items()]


def listed(git: Git, folder: str, top: Path) -> tuple[set[str], set[str]]:
    """Paths below `folder`, which is `top` on disk, relative to it: of files that git has or doesn't ignore; then of those that
    a sparse checkout has left out."""
    options = ("-t", "-z", "--full-name", "--cached", "--others", "--exclude-standard")
    lines = (line.partition(" ") for line in records(git.must("ls-files", *options, "--", folder or ".")))
    found = {below(path, folder): tag for tag, _, path in lines}
    absent = {path for path, tag in found.items() if tag == "S" and not os.path.lexists(top / path)}
    return found.keys() - absent, absent


def changes(git: Git, older: str, newer: str) -> list[Entry]:
    """Files that differ between two commits, paths from the top, as the newer one has them; "000000": gone there."""
    parts = records(git.must("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", older, newer))
    found = []
    for about, path in zip(parts[::2], parts[1::2], strict=True):
        _, mode, _, blob, _ = about.split()
        found.append(Entry(path, mode, blob, None))
    sizes = git.sizes(one.blob for one in found if one.mode in _BLOBS)
    return [Entry(one.path, one.mode, one.blob, sizes.get(one.blob)) for one in found]
