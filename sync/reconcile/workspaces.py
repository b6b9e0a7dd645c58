"""Where sprocs stand: on disk, or in git (a commit, the index, the work tree as a sync sees it)."""

from __future__ import annotations

import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from luasprocs.language.files import SOURCE_LIMIT_BYTES, SUFFIX, size_problem
from luasprocs.language.problems import problem
from sync.git.config import run_git
from sync.git.entries import SYMLINK, UNFIT, records
from sync.git.worktree import read_saved

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from luasprocs.errors import Problem
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired


class GitWorkspace:
    """What git wants live. Blobs are read in one go."""

    def __init__(self, repository: Repository, desired: Desired) -> None:
        self._repository = repository
        self._desired = desired

    @property
    def names(self) -> Collection[str]:
        """Those that no sync passes over."""
        return self._desired.entries.keys()

    @property
    def defaults(self) -> Mapping[str, str]:
        """Those of its luasprocs.toml."""
        return self._desired.settings.defaults

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The sources of what is a file, and not too large."""
        entries, at_hand = self._desired.entries, self._desired.sources
        wanted = {name: entries[name] for name in names if name in entries and name not in self._desired.unreadable}
        read = self._repository.blobs(blob for blob in wanted.values() if blob not in at_hand)
        return {name: at_hand[blob] if blob in at_hand else read[blob] for name, blob in wanted.items()}

    def path(self, name: str) -> str:
        """As seen from the repository's top."""
        return self._desired.path(name)


class DiskWorkspace:
    """The files below a folder, without GitPython.

    `named`: files as problems shall call them, by the names that they have as sprocs; `whole`: there are no others.
    """

    def __init__(
        self, folder: Path, named: Mapping[str, Path], defaults: Mapping[str, str], *, whole: bool = False
    ) -> None:
        self.defaults = defaults
        self._folder = folder
        self._named = named
        self._whole = whole

    @cached_property
    def names(self) -> Collection[str]:
        """Those named, and all that the folder has."""
        if self._whole or not self._folder.is_dir():
            return self._named.keys()
        files, _ = lua_files(self._folder)
        return {*self._named, *(sproc_name(path, self._folder) for path in files)}

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The sources of regular files that are not too large.

        Raises:
            RepositoryError: one isn't there, or can't be read.
        """
        found = {}
        for name in names:
            path = self._file(name)
            if self._wrong_with(path) is not None:
                continue
            source = read_saved(path, SOURCE_LIMIT_BYTES)
            if source is None:
                raise RepositoryError(f"{path} can't be read: No such file or directory")
            found[name] = source
        return found

    def path(self, name: str) -> str:
        """The file as it was named."""
        return str(self._file(name))

    def unread(self) -> Iterator[Problem]:
        """What is wrong with those of the files named that `read` leaves out."""
        for path in self._named.values():
            if (wrong := self._wrong_with(path)) is not None:
                yield wrong

    def _file(self, name: str) -> Path:
        return self._named.get(name) or self._folder / name

    @staticmethod
    def _wrong_with(path: Path) -> Problem | None:
        if path.is_symlink():
            return problem(str(path), "file.not-regular", UNFIT[SYMLINK])
        return size_problem(path.stat().st_size, str(path)) if path.is_file() else None


def sproc_name(path: Path, folder: Path) -> str:
    """A file's sproc name: its path below the sproc folder, or its own name when it lies elsewhere."""
    real, top = _real(path.absolute().parent), _real(folder.absolute())
    return (real / path.name).relative_to(top).as_posix() if real.is_relative_to(top) else path.name


@lru_cache(maxsize=1024)  # thousands of files stand in few folders
def _real(folder: Path) -> Path:
    return folder.resolve()


def lua_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The `.lua` files below a folder, and the submodules: what git doesn't ignore, or all where there is no git."""
    paths = _git_lists(folder)
    if paths is None:
        paths = [Path(place, name) for place, _, files in os.walk(folder) for name in files]
    # Git lists a folder only where another repository begins, and files that are gone.
    submodules = {path for path in paths if path.is_dir() and not path.is_symlink()}
    files = {path for path in paths if path.name.endswith(SUFFIX) and os.path.lexists(path)} - submodules
    return sorted(files), sorted(submodules)


def _git_lists(folder: Path) -> list[Path] | None:
    """The files that `sync --worktree` would see; None outside a repository."""
    try:
        answer = run_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except RepositoryError:
        return None
    return [folder / name for name in records(answer.stdout)] if answer.returncode == 0 else None
