"""The work tree without git: enough for commands that must start fast."""

from __future__ import annotations

import os
from pathlib import Path

from luasprocs.errors import RepositoryError
from sync.repository_settings import SETTINGS_FILE, RepositorySettings, repository_settings


def find_top(start: Path) -> Path | None:
    """The nearest folder, from `start` up, that is a repository's top or has a luasprocs.toml."""
    here = start.absolute()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file() or (folder / ".git").exists():
            return folder
    return None


def has_repository(start: Path) -> bool:
    """Whether a repository seems to be around `start`, though git may be unable to open it."""
    here = start.absolute()
    bare = (here / "HEAD").is_file() and (here / "objects").is_dir()
    return bare or any(os.path.lexists(folder / ".git") for folder in (here, *here.parents))


def find_settings(start: Path) -> RepositorySettings:
    """The luasprocs.toml around `start`; the defaults where there is none.

    Raises:
        SettingsError: it can't be used. RepositoryError: it can't be read.
    """
    top = find_top(start)
    return settings_of(top) if top else RepositorySettings()


def settings_of(top: Path) -> RepositorySettings:
    """The luasprocs.toml of a work tree."""
    path = top / SETTINGS_FILE
    try:
        return repository_settings(path.read_bytes() if path.is_file() else None)
    except OSError as error:
        raise RepositoryError(f"{path} can't be read: {error.strerror}") from error
