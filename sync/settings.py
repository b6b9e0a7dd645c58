"""Two kinds of settings: what a git writer may decide (luasprocs.toml) and what the host says. Read once, frozen.

Imports neither git nor redis: every command starts here.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from luasprocs.errors import SettingsError
from luasprocs.keys import Keys
from luasprocs.metadata import parse_value
from luasprocs.urls import checked, redacted
from luasprocs.values import duration_ms, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SETTINGS_FILE = "luasprocs.toml"
SETTINGS_LIMIT_BYTES = 256 * 1024
SERVER_FILE = Path(".luasprocs") / "server.toml"
"""Where `up` leaves the URL of the server that it started."""
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TOML_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.S)
_TOP = ("folder", "namespace", "owner", "keep_generations", "defaults")
_KEEP_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What luasprocs.toml says. `folder`: where sprocs are, "" for the top; `owner`: "" for the root commit.

    `defaults`: metadata as written, for what a header doesn't say. `keep_generations`: how far a rollback reaches.
    """

    folder: str = "sprocs"
    namespace: str = ""
    owner: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    keep_generations: int = 50


def repository_settings(source: bytes | None, path: str = SETTINGS_FILE) -> RepositorySettings:
    """The settings in a luasprocs.toml's bytes; None: there is no such file. Pure; `path` is for messages.

    Raises:
        SettingsError: with `path:line:column` and what would be right.
    """
    if source is None:
        return RepositorySettings()
    text, table = _parsed(source, path)
    values: dict[str, Any] = {}
    for key, value in table.items():
        try:
            values[key] = _repository_value(key, value)
        except ValueError as error:
            raise SettingsError(f"{path}:{_place_of(text, key)}: {error}") from None
    for key, value in table.get("defaults", {}).items():
        try:
            values["defaults"][key] = _default(key, value)
        except (ValueError, SettingsError) as error:
            raise SettingsError(f"{path}:{_place_of(text, key, 'defaults')}: {error}") from None
    return RepositorySettings(**values)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the host says. `redis`: a URL, perhaps with a password: show `redis_shown`.

    `namespace` None: as luasprocs.toml says. `live_edits` None: commit where the repository is writable, else keep.
    `sources`: for each setting that somebody set, who did, for messages.
    """

    redis: str = field(default=DEFAULT_REDIS, repr=False)
    namespace: str | None = None
    repo: Path | None = None
    config: Path | None = None
    debug: bool = False
    branch: str | None = None
    heal: str = "auto"
    live_edits: str | None = None
    interval_ms: int = 30_000
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def redis_shown(self) -> str:
        """The URL without its secrets."""
        return redacted(self.redis)

    def source(self, name: str) -> str:
        """Who set a setting: `--redis`, `LUASPROCS_REDIS`, a file, …, or `the default`."""
        return self.sources.get(name, "the default")


def host_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    git_config: Callable[[Path | None], Mapping[str, str]],
) -> HostSettings:
    """Settings by who comes first: flag, LUASPROCS_*, --config FILE, git config luasprocs.*, the file that `up` left.

    `flags`: by name, None where not given. `git_config`: asked for a folder's `luasprocs.*` only if others leave any open.

    Raises:
        SettingsError: a value can't be used, with who set it.
    """
    layers = [_given(flags), _environment(environ)]
    config = _first(layers, "config")
    layers.append(_file(Path(config[0])) if config else {})
    repo = _first(layers, "repo")
    folder = Path(repo[0]).expanduser() if repo else None
    layers.append(_git(git_config(folder)))
    layers.append(_left_by_up(folder or Path.cwd()) if not _first(layers, "redis") else {})
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in _HOST:
        if found := _first(layers, name):
            values[name], sources[name] = _host_value(name, *found), found[1]
    return HostSettings(**values, sources=MappingProxyType(sources))
