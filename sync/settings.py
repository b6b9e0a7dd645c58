"""What the host says: flags, LUASPROCS_*, --config FILE, git config. What a git writer may decide is in `repository_settings`.

Read once, frozen, passed down. Imports neither GitPython nor redis: every command starts here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from luasprocs.contract.limits import EXECUTIONS_LIMIT, LISTENERS
from luasprocs.errors import LuasprocsError, SettingsError
from luasprocs.language.spelling import nearest
from luasprocs.operations.exposure import exposure
from luasprocs.operations.local_server import local_server
from luasprocs.server.urls import redacted
from sync.git.config import git_config, git_origins
from sync.setting_values import HOST, yes
from sync.toml import parsed, plain, read_bytes, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    # A setting's name to its value, and who set it.
    _Layer = Mapping[str, tuple[str, str]]

DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
_FIELDS = {"interval": "interval_ms", "executions_age": "executions_age_ms"}


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the host says. `redis`: a URL, perhaps with a password: show `redis_shown`.

    `executions_limit`, `executions_age_ms`: how many records of executions are kept, and for how long.
    `namespace` None: as luasprocs.toml says. `live_edits` None: commit if the repository is writable.
    `workers`: processes for async sprocs, None for one a core; `files`: the folder they work in; `writable`: folders beside it
    that they may write to; `lua_path`: more places for `require`, as package.path; `allow`: exec, clibs, unconfined.
    `listeners`: how many daemons hear the events of each shard.
    `remote`: what the daemon mirrors below `mirror`, perhaps with a password. `log_format`: human or json.
    `http`: host:port for probes, metrics and the webhook, "" for none.
    `require_signed`, `require_fast_forward`: which commits may become live (`sync.reconcile.policy`).
    `sources`: for each setting that somebody set, who did, for messages. `exposed`: secrets in files that others can read.
    """

    redis: str = field(default=DEFAULT_REDIS, repr=False)
    namespace: str | None = None
    repo: Path | None = None
    config: Path | None = None
    debug: bool = False
    branch: str | None = None
    remote: str = field(default="", repr=False)
    mirror: Path = Path(".luasprocs") / "mirror"
    log_format: str = "human"
    http: str = ""
    webhook_secret: str = field(default="", repr=False)
    heal: str = "auto"
    live_edits: str | None = None
    interval_ms: int = 30_000
    require_signed: bool = False
    require_fast_forward: bool = False
    executions_limit: int = EXECUTIONS_LIMIT
    executions_age_ms: int = 7 * 86_400_000
    workers: int = 0
    listeners: int = LISTENERS
    files: Path = Path(".luasprocs") / "files"
    writable: tuple[Path, ...] = ()
    lua_path: str = ""
    allow: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()

    @property
    def redis_shown(self) -> str:
        """The URL without its secrets."""
        return redacted(self.redis)

    def files_at(self, folder: Path) -> Path:
        """Where async sprocs work, for a daemon that is started in `folder`."""
        return (folder / self.files).absolute()

    def source(self, name: str) -> str:
        """Who set a setting: `--redis`, `LUASPROCS_REDIS`, a file, …, or `the default`; for people to read."""
        return self.sources.get(name, "the default")


def host_settings(
    flags: Mapping[str, object], environ: Mapping[str, str] = os.environ, *, near: bool = False
) -> HostSettings:
    """The host's settings: flag, LUASPROCS_*, --config FILE, git config luasprocs.*, what `up` left, default.

    `flags`: by name, None where not given. Reads these files, and asks git once. `near`: only what needs neither git nor a
    look into the repository.

    Raises:
        SettingsError: a value can't be used; its text says who set it.
    """
    layers = _layers(flags, environ, near=near)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in HOST:
        if found := _first(layers, name):
            values[_FIELDS.get(name, name)], sources[name] = _host_value(name, *found), found[1]
    settings = HostSettings(**values, sources=MappingProxyType(sources))
    return replace(settings, exposed=_exposed(settings, layers))


def _exposed(settings: HostSettings, layers: Sequence[_Layer]) -> tuple[str, ...]:
    """What to say of each secret in a file that others can read."""
    secrets = {
        "redis": settings.redis != settings.redis_shown and "a password of Redis",
        "remote": _has_password(settings.remote) and "the password of the remote",
        "webhook_secret": settings.webhook_secret and "the webhook's secret",
    }
    said = []
    for name, what in secrets.items():
        at = next((place for place, layer in enumerate(layers) if name in layer), None)
        if what and at is not None and at >= len(_NO_FILES) and (file := _file_of(name, settings, at - len(_NO_FILES))):
            said.append(exposure(what, file))
    return tuple(filter(None, said))


def _file_of(name: str, settings: HostSettings, place: int) -> Path | None:
    """The file that one of the layers behind the environment has a setting from."""
    folder = settings.repo or Path.cwd()
    if place == 0:
        return settings.config
    if place == 1:
        origins = git_origins(settings.repo)
        return next(
            (file for key, file in origins.items() if key.replace("-", "").lower() == name.replace("_", "")), None
        )
    found = local_server(folder.absolute())
    return found.file if found else None


def _has_password(remote: str) -> bool:
    try:
        return bool(urlsplit(remote).password)
    except ValueError:
        return False


def debug_wanted(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> bool:
    """Whether tracebacks are asked for; answers where `host_settings` raises, too."""
    near = [_given(flags), _environment(environ)]
    try:
        found = _first(near, "debug") or _first(_layers(flags, environ), "debug")
        return bool(found and yes(found[0]))
    except (LuasprocsError, ValueError):
        return False


_NO_FILES = ("flags", "environment")
"""The layers in front of those that are files."""


def _layers(flags: Mapping[str, object], environ: Mapping[str, str], *, near: bool = False) -> list[_Layer]:
    """Who set what, the nearest first."""
    layers = [_given(flags), _environment(environ)]
    config = _first(layers, "config")
    layers.append(_file(_host_value("config", *config)) if config else {})
    if near:
        return layers
    repo = _first(layers, "repo")
    folder = _host_value("repo", *repo) if repo else None
    layers.append(_known(git_config(folder), "git config luasprocs."))
    if not _first(layers, "redis"):
        layers.append(_left_by_up((folder or Path.cwd()).absolute()))
    return layers


def _given(flags: Mapping[str, object]) -> _Layer:
    return {name: (str(value), f"--{name}") for name, value in flags.items() if name in HOST and value is not None}


def _environment(environ: Mapping[str, str]) -> _Layer:
    # Others are passed over: Kubernetes makes a LUASPROCS_PORT of a service of that name.
    variables = {name: f"LUASPROCS_{name.upper()}" for name in HOST}
    return {name: (environ[variable], variable) for name, variable in variables.items() if environ.get(variable)}


def _file(path: Path) -> _Layer:
    _, table = parsed(read_bytes(path), str(path))
    return _known({key: scalar(value) for key, value in table.items()}, f"{path}: ")


def _known(values: Mapping[str, str], place: str) -> _Layer:
    """Settings by their names, however those are spelled: git's have no `_`."""
    names = {name.replace("_", ""): name for name in HOST}
    layer = {}
    for key, value in values.items():
        name = names.get(key.lower().replace("_", "").replace("-", ""))
        if name is None:
            raise SettingsError(f"{place}{plain(key)}: unknown setting{nearest(key, HOST)}")
        layer[name] = (value, f"{place}{key}")
    return layer


def _left_by_up(folder: Path) -> _Layer:
    found = local_server(folder)
    return {"redis": (found.url, f"{found.file}: redis")} if found else {}


def _first(layers: Iterable[_Layer], name: str) -> tuple[str, str] | None:
    return next((layer[name] for layer in layers if name in layer), None)


def _host_value(name: str, value: str, source: str) -> Any:
    try:
        return HOST[name](value)
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"{source}: {error}") from None
