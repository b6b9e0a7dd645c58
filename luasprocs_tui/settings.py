"""Which server to show when the command line names none."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_URL = "redis://127.0.0.1:6379/0"
SERVER_FILE = ".luasprocs/server.toml"


def default_url(folder: Path) -> str:
    """The server of the nearest `.luasprocs/server.toml` in `folder` or above it, else the usual local one.

    Raises:
        SettingsError: that file can't be read, or names no server.
    """
    for parent in (folder, *folder.parents):
        file = parent / SERVER_FILE
        if file.is_file():
            return _read(file)
    return DEFAULT_URL


def _read(file: Path) -> str:
    try:
        url = tomllib.loads(file.read_text(encoding="utf-8")).get("redis")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} can't be read ({error}): remove it, or give --redis URL") from error
    if not isinstance(url, str):
        raise SettingsError(f'{file} has no redis = "URL": remove it, or give --redis URL')
    return url
