"""Files on disk as git would add them, none of them while it is being written.

An editor that saves in place empties a file and then writes it, or moves it away and makes it anew. What was written a moment ago
is therefore taken as it was before, and what has just gone as still there, until it has been left alone for a moment.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RepositoryError
from sync.git.entries import SPECIAL, SUBMODULE, SYMLINK, Entry, blob_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

SETTLED_S = 0.05
EMPTY_SETTLED_S = 1.0
"""Nobody is in a hurry for an empty file."""
GONE_SETTLED_S = 0.2
RACY_S = 0.1
"""What was written no longer ago may be written again and look the same."""
LOOK_AGAIN_S = 0.05
PATIENCE_S = 3.0


class OnDisk(NamedTuple):
    """Files, and their bytes by blob id. `moving`: the path of one that is being written, and is here as it was before; `absent`:
    of those that a sparse checkout has left out.
    """

    entries: list[Entry]
    sources: dict[str, bytes]
    moving: str = ""
    absent: AbstractSet[str] = frozenset()


class _Kept(NamedTuple):
    """A file that was left alone. `looks`: of the same ones it needs no second reading; None: whatever it looks like."""

    looks: tuple[int, ...] | None
    entry: Entry
    source: bytes


@dataclass(slots=True)
class Saved:
    """Reads the same files again and again. `algorithm`: `sha1` or `sha256`, of their blob ids."""

    algorithm: str
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _gone_s: dict[str, float] = field(default_factory=dict)
    """Since when files are missed (monotonic)."""

    def read(self, top: Path, paths: Iterable[str], suffix: str, limit_bytes: int) -> OnDisk:
        """Files below `top`; gone ones and those behind a symlink are left out. Names that end otherwise, what is no file
        and what is too big have no bytes, and "" as blob.

        Raises:
            RepositoryError: a file can't be read.
        """
        before, self._kept = self._kept, {}
        found, missed, moving = [], dict.fromkeys(before), ""
        real: dict[str, bool] = {}
        start = os.path.join(top, "")  # noqa: PTH118  # thousands of Path objects took two thirds of the time
        for path in paths:
            file = start + path.rstrip("/")
            parent = path.rstrip("/").rpartition("/")[0]
            if parent not in real:
                real[parent] = (top / parent).resolve() == top.resolve() / parent
            try:
                looks = os.lstat(file) if real[parent] else None
                read = looks and self._one(file, path, looks, before.get(file), suffix, limit_bytes)
            except (FileNotFoundError, NotADirectoryError):
                read = None
            if read is None:
                missed[file] = None
                continue
            missed.pop(file, None)
            entry, moves = read
            found += [entry] if entry else []
            moving = moving or (path if moves else "")
        self._gone_s = {file: self._gone_s.get(file, time.monotonic()) for file in missed}
        for file in filter(self._may_come_back, missed):
            moving = moving or file.removeprefix(start)
            if file in before:
                self._kept[file] = before[file]
                found.append(before[file].entry)
        found.sort(key=lambda entry: entry.path)
        return OnDisk(found, {kept.entry.blob: kept.source for kept in self._kept.values()}, moving)

    def _one(
        self, file: str, path: str, looks: os.stat_result, last: _Kept | None, suffix: str, limit_bytes: int
    ) -> tuple[Entry | None, bool]:
        """A file, None for one that is written for the first time; whether it is being written."""
        same = (looks.st_mtime_ns, looks.st_ctime_ns, looks.st_size, looks.st_ino, looks.st_mode)
        if last is not None and last.looks == same:
            self._kept[file] = last
            return last.entry, False
        wanted = stat.S_ISREG(looks.st_mode) and looks.st_size <= limit_bytes and path.endswith(suffix)
        source, written_ns = _read(file, limit_bytes) if wanted else (b"", 0)
        if not wanted or len(source) > limit_bytes:
            return Entry(path.rstrip("/"), _mode(looks), "", max(looks.st_size, len(source))), False
        age_s = _age_s(written_ns)
        if _is_moving(source, age_s):
            if last is None:
                return None, True
            self._kept[file] = last._replace(looks=None)
            return last.entry, True
        entry = Entry(path, _mode(looks), blob_id(self.algorithm, source), len(source))
        self._kept[file] = _Kept(None if 0 <= age_s < RACY_S else same, entry, source)
        return entry, False

    def _may_come_back(self, file: str) -> bool:
        """Whether a file that is missed has gone only just now, as far as its folder tells."""
        if time.monotonic() - self._gone_s[file] >= GONE_SETTLED_S:
            return False
        return _changed_just_now(Path(file))


def when_settled(look: Callable[[], OnDisk]) -> OnDisk:
    """What a look finds once nothing of it is being written.

    Raises:
        RepositoryError: after PATIENCE_S.
    """
    until = time.monotonic() + PATIENCE_S
    while (seen := look()).moving:
        if time.monotonic() > until:
            raise RepositoryError(f"{seen.moving!r} keeps changing: try again when it is stable")
        time.sleep(LOOK_AGAIN_S)
    return seen


def read_saved(path: Path, limit_bytes: int) -> bytes | None:
    """One file's bytes, at most one more than `limit_bytes`, once it has been left alone; None: it is not there. A symlink is
    followed.

    Raises:
        RepositoryError: it can't be read, or is being written for longer than PATIENCE_S.
    """
    gone_s, until = time.monotonic() + GONE_SETTLED_S, time.monotonic() + PATIENCE_S
    while True:
        try:
            source, written_ns = _read(str(path.resolve()), limit_bytes)
        except FileNotFoundError as error:
            if path.is_symlink():
                raise RepositoryError(f"{str(path)!r} can't be read: it is a symlink to nothing") from error
            if time.monotonic() > gone_s or not _changed_just_now(path):
                return None
        else:
            if not _is_moving(source, _age_s(written_ns)):
                return source
            if time.monotonic() > until:
                raise RepositoryError(f"{str(path)!r} keeps changing: try again when it is stable")
        time.sleep(LOOK_AGAIN_S)


def _is_moving(source: bytes, age_s: float) -> bool:
    return 0 <= age_s < (SETTLED_S if source else EMPTY_SETTLED_S)


def _age_s(changed_ns: int) -> float:
    """Negative for the future: the clock was set."""
    return (time.time_ns() - changed_ns) / 1e9


def _changed_just_now(path: Path) -> bool:
    """Whether the folder that a file is missed in has changed; if it is gone itself, the one that it is missed in."""
    for folder in path.parents:
        try:
            return 0 <= _age_s(folder.lstat().st_mtime_ns) < GONE_SETTLED_S
        except (FileNotFoundError, NotADirectoryError):
            continue
    return False


def _mode(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return SYMLINK
    if stat.S_ISDIR(found.st_mode):
        return SUBMODULE  # git lists a folder only where another repository begins
    if not stat.S_ISREG(found.st_mode):
        return SPECIAL
    return "100755" if found.st_mode & stat.S_IXUSR else "100644"


def _read(path: str, limit_bytes: int) -> tuple[bytes, int]:
    """A file's bytes, and when it was written last. Raises FileNotFoundError, RepositoryError."""
    try:
        # A name can turn into a symlink or a pipe after the look at it: neither followed nor waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RepositoryError(f"{path!r} is not a regular file")
            with open(descriptor, "rb", closefd=False) as file:
                source = file.read(limit_bytes + 1)
            return source, os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise RepositoryError(f"{path!r} can't be read: {error.strerror}") from error
