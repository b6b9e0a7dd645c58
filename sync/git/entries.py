"""Files as git would see them, whether they stand in a commit, the index or on disk."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Iterator

SYMLINK = "120000"
SUBMODULE = "160000"
CONFLICT = "conflict"
SPECIAL = "special"
UNFIT = {
    SYMLINK: "the file is a symlink: commit the file itself",
    SUBMODULE: "this is a submodule, which no sync enters: commit its files, or move it out of the folder",
    CONFLICT: "the file has an unresolved merge conflict: resolve it, then git add",
    SPECIAL: "this is not a regular file: replace it with one",
}
"""What is wrong with a sproc that is no file, by its mode."""


class Entry(NamedTuple):
    """A file. `path`: below the folder that was asked for, bad UTF-8 as surrogates; `size`: bytes, if known.

    `mode`: git's six digits; CONFLICT for an unmerged file of the index, SPECIAL for a pipe or device.
    """

    path: str
    mode: str
    blob: str
    size: int | None


def blob_id(algorithm: str, source: bytes) -> str:
    """The id that git gives these bytes. `algorithm`: the repository's, `sha1` or `sha256`."""
    return hashlib.new(algorithm, b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()


def text(output: bytes) -> str:
    """Git's output, bytes that are no UTF-8 as surrogates."""
    return output.decode("utf-8", "surrogateescape")


def records(output: bytes) -> list[str]:
    """The entries of what a command wrote with `-z`."""
    return text(output).split("\0")[:-1]


def below(path: str, folder: str) -> str:
    """A path of the repository as seen from `folder`; "" is the top."""
    return path.removeprefix(f"{folder}/") if folder else path


def read_tree_entry(line: str) -> Entry:
    """A line of `ls-tree -l`, which has no size of a blob that is missing."""
    about, _, path = line.partition("\t")
    mode, _, blob, size = about.split()
    return Entry(path, mode, blob, int(size) if size.isdecimal() else None)


def read_staged(line: str) -> tuple[str, tuple[str, str]]:
    """A line of `ls-files -s`: path, then mode and blob."""
    about, _, path = line.partition("\t")
    mode, blob, stage = about.split()
    return path, (mode if stage == "0" else CONFLICT, blob)


def read_batch(output: bytes, shown: str) -> Iterator[tuple[str, bytes]]:
    """Takes apart what `cat-file --batch` wrote: `id type size`, a newline, the bytes, a newline."""
    position = 0
    while position < len(output):
        end = output.index(b"\n", position)
        words = output[position:end].decode().split()
        if len(words) != 3:
            raise RepositoryError(
                f"object {words[0]} is missing in {shown}: git fsck tells more, git fetch may bring it"
            )
        position = end + 1 + int(words[2]) + 1
        yield words[0], output[end + 1 : position - 1]
