"""Files as git would see them, whether they stand in a commit, the index or on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Seen = TypeVar("Seen")
RACY_NS = 100_000_000
SETTLED_S = 0.05
"""A file that is saved in place is half there for a moment, or gone from its folder before it comes back."""
EMPTY_SETTLED_S = 1.0
"""Emptied, then written: nobody is in a hurry for an empty one."""
LOOK_AGAIN_S = 0.05
PATIENCE_S = 3.0
"""With files that are being written."""
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


def when_settled(look: Callable[[], tuple[Seen, float, str]]) -> Seen:
    """What `look` sees once nothing of it is being written. It returns that, how many seconds to wait, and for which file.

    Raises:
        RepositoryError: after PATIENCE_S.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        seen, rest_s, moving = look()
        if not rest_s:
            return seen
        if time.monotonic() > until:
            raise RepositoryError(f"{moving!r} is being written all the time: leave it alone for a moment")
        time.sleep(min(rest_s, LOOK_AGAIN_S))


def read_saved(path: Path, limit_bytes: int) -> bytes | None:
    """A file's bytes when they are all there, one more than `limit_bytes` of them at most; None: there is no such file.

    A symlink is followed.

    Raises:
        RepositoryError: it can't be read.
    """

    def look() -> tuple[bytes, float, str]:
        source, written_ns = _read(path.resolve(), limit_bytes)
        return source, _rest_s(written_ns, SETTLED_S if source else EMPTY_SETTLED_S), str(path)

    return when_settled(look) if path.exists() else None


def read_files(
    top: Path,
    paths: Iterable[str],
    suffix: str,
    limit_bytes: int,
    algorithm: str,
    known: dict[str, tuple[object, Entry, bytes]],
) -> tuple[tuple[list[Entry], dict[str, bytes]], float, str]:
    """Files below `top` as git would add them, their bytes by blob id; how long to wait until all have been left alone, and
    for which one. Gone ones and those behind a symlink are left out.

    `known`: what was read before, by path, and kept: one that looks the same isn't read again.

    Raises:
        RepositoryError: a file can't be read.
    """
    before, now_ns = dict(known), time.time_ns()
    known.clear()
    entries: list[Entry] = []
    sources: dict[str, bytes] = {}
    real: dict[str, bool] = {}
    gone = set(before)
    moving = (0.0, "")
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
        gone.discard(path)
        looks = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
        last = before.get(path)
        if last is not None and last[0] == looks:
            known[path] = last
            entries.append(last[1])
            sources[last[1].blob] = last[2]
            continue
        wanted = stat.S_ISREG(found.st_mode) and found.st_size <= limit_bytes and path.endswith(suffix)
        source = None
        if wanted:
            source, written_ns = _read(top / path, limit_bytes)
            moving = max(moving, (_rest_s(written_ns, SETTLED_S if source else EMPTY_SETTLED_S), path))
        if source is None or len(source) > limit_bytes:
            entries.append(Entry(path.rstrip("/"), _mode(found), "", max(found.st_size, len(source or b""))))
            continue
        blob = blob_id(algorithm, source)
        sources[blob] = source
        entries.append(Entry(path, _mode(found), blob, len(source)))
        if now_ns - found.st_mtime_ns > RACY_NS:  # one that was just written may be written again and look the same
            known[path] = looks, entries[-1], source
    for path in gone:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            moving = max(moving, (_rest_s((top / path).parent.lstat().st_mtime_ns, SETTLED_S), path))
    rest_s, path = moving
    return (entries, sources), rest_s, start + path


def _rest_s(changed_ns: int, settled_s: float) -> float:
    """Until it has been left alone for `settled_s`; 0.0 if it has, or if the clock was set."""
    age_s = (time.time_ns() - changed_ns) / 1e9
    return max(settled_s - age_s, 0.0) if age_s >= 0 else 0.0


def _mode(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return SYMLINK
    if stat.S_ISDIR(found.st_mode):
        return SUBMODULE  # git lists a folder only where another repository begins
    if not stat.S_ISREG(found.st_mode):
        return SPECIAL
    return "100755" if found.st_mode & stat.S_IXUSR else "100644"


def _read(path: Path, limit_bytes: int) -> tuple[bytes, int]:
    """Its bytes, and when it was written last."""
    # A name can turn into a symlink or a pipe after the look at it: neither followed nor waited for.
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(limit_bytes + 1), os.fstat(file.fileno()).st_mtime_ns
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
