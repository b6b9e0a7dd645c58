"""The server that `luasprocs up` left running for a folder. Imports neither redis nor git: front ends start here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError
from luasprocs.server.urls import checked, hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_FILE = Path(".luasprocs") / "server.toml"
"""Where `up` writes the URL of its server, below the repository's top."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server of `up`: its URL, and the file that says so."""

    url: str = field(repr=False)
    file: Path


def local_server(folder: Path) -> LocalServer | None:
    """The server of the nearest `.luasprocs/server.toml`, looked for up to the repository's top; None if there is none.

    Raises:
        SettingsError: the file can't be read, has no usable URL, or names a server on another machine, which `up` never does:
            whoever can write files above a folder must not choose where its users' commands go.
    """
    folder = folder.absolute()
    for place in (folder, *folder.parents):
        file = place / SERVER_FILE
        if file.is_file():
            return LocalServer(_url_in(file), file)
        if (place / ".git").exists():
            break
    return None


@contextlib.contextmanager
def published(folder: Path, url: str) -> Iterator[None]:
    """Inside, `local_server` finds this URL for the folder and for those below it."""
    file = folder / SERVER_FILE
    written = file.with_suffix(".new")
    try:
        written.write_text(f'# Where `luasprocs up` serves; it removes this file.\nredis = "{url}"\n', "utf-8")
        written.replace(file)
        yield
    finally:
        file.unlink(missing_ok=True)


def _url_in(file: Path) -> str:
    import tomllib  # noqa: PLC0415  # 2 ms of each start, for a file that is seldom there

    try:
        with file.open("rb") as opened:
            found = tomllib.loads(opened.read(LIMIT_BYTES).decode()).get("redis")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{file} can't be read ({why}): remove it, or give --redis URL") from error
    if not isinstance(found, str):
        raise SettingsError(f'{file} has no redis = "URL": remove it, or give --redis URL')
    url = checked(found)
    if url.scheme != "unix" and any(host not in LOCAL_HOSTS for host, _ in hosts(url)):
        raise SettingsError(f"{file} names a server on another machine; `up` never writes that: remove the file")
    return found
