"""Files as git would see them, whether they stand in a commit, the index or on disk."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RACY_NS = 100_000_000
SYMLINK = "120000"
SUBMODULE = "160000"
CONFLICT = "conflict"
SPECIAL = "special"
UNFIT = {
    SYMLINK: "the file is a symlink: commit the file itself",
    SUBMODULE: "this is a submodule, which no sync enters: commit its files, or move it out of the folder",
    CONFLICT: "the file has an unresolved merge conflict: resolve it, then git add",
    SPECIAL: "this is no regular file: replace it by one",
}
"""What is wrong with a sproc that is no file, by its mode."""


@dataclass(frozen=True, slots=True)
class Entry:
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


def read_files(
    top: Path,
    paths: Iterable[str],
    suffix: str,
    limit_bytes: int,
    algorithm: str,
    known: dict[str, tuple[object, Entry, bytes]],
) -> tuple[list[Entry], dict[str, bytes]]:
    """Reads files below `top` as git would add them; gone ones and those behind a symlink are left out.

    `known`: what was read before, by path, and kept: one that looks the same isn't read again.

    Raises:
        RepositoryError: a file can't be read.
    """
    before, now_ns = dict(known), time.time_ns()
    known.clear()
    entries: list[Entry] = []
    sources: dict[str, bytes] = {}
    real: dict[str, bool] = {}
    start = os.path.join(top, "")  # noqa: PTH118  # thousands of Path objects took two thirds of the time
    for path in paths:
        parent = path.rstrip("/").rpartition("/")[0]
        if parent not in real:
            real[parent] = (top / parent).resolve() == top.resolve() / parent
        try:
            found = os.lstat(start + path.rstrip("/")) if real[parent] else None
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None:
            continue
        looks = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
        last = before.get(path)
        if last is not None and last[0] == looks:
            known[path] = last
            entries.append(last[1])
            sources[last[1].blob] = last[2]
            continue
        wanted = stat.S_ISREG(found.st_mode) and found.st_size <= limit_bytes and path.endswith(suffix)
        source = _read(top / path, limit_bytes) if wanted else None
        if source is None or len(source) > limit_bytes:
            entries.append(Entry(path.rstrip("/"), _mode(found), "", max(found.st_size, len(source or b""))))
            continue
        blob = blob_id(algorithm, source)
        sources[blob] = source
        entries.append(Entry(path, _mode(found), blob, len(source)))
        if now_ns - found.st_mtime_ns > RACY_NS:  # one that was just written may be written again and look the same
            known[path] = looks, entries[-1], source
    return entries, sources


def _mode(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return SYMLINK
    if stat.S_ISDIR(found.st_mode):
        return SUBMODULE  # git lists a folder only where another repository begins
    if not stat.S_ISREG(found.st_mode):
        return SPECIAL
    return "100755" if found.st_mode & stat.S_IXUSR else "100644"


def _read(path: Path, limit_bytes: int) -> bytes:
    # A name can turn into a symlink or a pipe after the look at it: neither followed nor waited for.
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(limit_bytes + 1)
    except OSError as error:
        raise RepositoryError(f"{str(path)!r} can't be read: {error.strerror}") from error


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
    """A line of `ls-tree -l`."""
    about, _, path = line.partition("\t")
    mode, _, blob, size = about.split()
    return Entry(path, mode, blob, None if size == "-" else int(size))


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
