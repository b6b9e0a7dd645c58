"""Two kinds of settings: what a git writer may decide (luasprocs.toml), and what the host says.

Read once, frozen, passed down. Imports neither GitPython nor redis: every command starts here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError, SettingsError
from luasprocs.language.metadata import parse_value
from luasprocs.language.values import duration_ms, nearest, shown
from luasprocs.operations.exposure import exposure
from luasprocs.operations.local_server import local_server
from luasprocs.server.urls import checked, redacted
from sync.git.config import git_config, git_origins
from sync.toml import CONTROL, parsed, place_of, plain, read_bytes, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    # A setting's name to its value, and who set it.
    _Layer = Mapping[str, tuple[str, str]]

SETTINGS_FILE = "luasprocs.toml"
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
_KEEP_LIMIT = 100_000
_COUNT_LIMIT = 100_000_000
_OWNER_CHARS = 200
_WORKERS_LIMIT = 1000
_SECRET_CHARS = 16
_ALLOWABLE = ("exec", "clibs", "unconfined")
_TOP = {
    "folder": "a folder's path below the repository's top, like sprocs or lua/sprocs",
    "namespace": "a text of letters, digits and _.:-",
    "owner": f"a text of at most {_OWNER_CHARS} characters without control characters",
    "keep_generations": f"a whole number from 1 to {_KEEP_LIMIT}",
    "defaults": "a table of metadata keys: [defaults]",
}


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What luasprocs.toml says. `folder`: where sprocs are, "" for the top; `owner`: "" for the root commit.

    `defaults`: metadata as written, for what a header doesn't say. `keep_generations`: for rollback.
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
    text, table = parsed(source, path)
    values: dict[str, Any] = {}
    for key, value in table.items():
        try:
            values[key] = _repository_value(key, value)
        except (ValueError, SettingsError) as error:
            raise SettingsError(f"{path}:{place_of(text, key)}: {error}") from None
    for key, value in table.get("defaults", {}).items():
        try:
            values["defaults"][key] = _default(key, value)
        except (ValueError, SettingsError) as error:
            raise SettingsError(f"{path}:{place_of(text, key, 'defaults')}: {error}") from None
    return RepositorySettings(**values)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the host says. `redis`: a URL, perhaps with a password: show `redis_shown`.

    `executions_limit`, `executions_age_ms`: how many records of executions are kept, and for how long.
    `namespace` None: as luasprocs.toml says. `live_edits` None: commit if the repository is writable.
    `workers`: processes for async sprocs, None for one a core; `files`: the folder they work in; `writable`: folders beside it
    that they may write to; `lua_path`: more places for `require`, as package.path; `allow`: exec, clibs, unconfined.
    `remote`: what the daemon mirrors below `mirror`, perhaps with a password. `log_format`: human or json.
    `http`: host:port for probes, metrics and the webhook, "" for none.
    `require_signed`, `require_fast_forward`: which commits may become live (sync.policy).
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
    executions_limit: int = 10_000
    executions_age_ms: int = 7 * 86_400_000
    workers: int = 0
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

    def source(self, name: str) -> str:
        """Who set a setting: `--redis`, `LUASPROCS_REDIS`, a file, …, or `the default`; for people to read."""
        return self.sources.get(name, "the default")


def host_settings(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> HostSettings:
    """The host's settings: flag, LUASPROCS_*, --config FILE, git config luasprocs.*, what `up` left, default.

    `flags`: by name, None where not given. Reads these files, and asks git once.

    Raises:
        SettingsError: a value can't be used; its text says who set it.
    """
    layers = _layers(flags, environ)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in _HOST:
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
        return bool(found and _yes(found[0]))
    except (LuasprocsError, ValueError):
        return False


_NO_FILES = ("flags", "environment")
"""The layers in front of those that are files."""


def _layers(flags: Mapping[str, object], environ: Mapping[str, str]) -> list[_Layer]:
    """Who set what, the nearest first."""
    layers = [_given(flags), _environment(environ)]
    config = _first(layers, "config")
    layers.append(_file(_host_value("config", *config)) if config else {})
    repo = _first(layers, "repo")
    folder = _host_value("repo", *repo) if repo else None
    layers.append(_known(git_config(folder), "git config luasprocs."))
    if not _first(layers, "redis"):
        layers.append(_left_by_up((folder or Path.cwd()).absolute()))
    return layers


def _given(flags: Mapping[str, object]) -> _Layer:
    return {name: (str(value), f"--{name}") for name, value in flags.items() if name in _HOST and value is not None}


def _environment(environ: Mapping[str, str]) -> _Layer:
    # Others are passed over: Kubernetes makes a LUASPROCS_PORT of a service of that name.
    variables = {name: f"LUASPROCS_{name.upper()}" for name in _HOST}
    return {name: (environ[variable], variable) for name, variable in variables.items() if environ.get(variable)}


def _file(path: Path) -> _Layer:
    _, table = parsed(read_bytes(path), str(path))
    return _known({key: scalar(value) for key, value in table.items()}, f"{path}: ")


def _known(values: Mapping[str, str], place: str) -> _Layer:
    """Settings by their names, however those are spelled: git's have no `_`."""
    names = {name.replace("_", ""): name for name in _HOST}
    layer = {}
    for key, value in values.items():
        name = names.get(key.lower().replace("_", "").replace("-", ""))
        if name is None:
            raise SettingsError(f"{place}{plain(key)}: unknown setting{nearest(key, _HOST)}")
        layer[name] = (value, f"{place}{key}")
    return layer


def _left_by_up(folder: Path) -> _Layer:
    found = local_server(folder)
    return {"redis": (found.url, f"{found.file}: redis")} if found else {}


def _first(layers: Iterable[_Layer], name: str) -> tuple[str, str] | None:
    return next((layer[name] for layer in layers if name in layer), None)


def _host_value(name: str, value: str, source: str) -> Any:
    try:
        return _HOST[name](value)
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"{source}: {error}") from None


def _url(value: str) -> str:
    checked(value)
    return value


def _name(value: str) -> str:
    if not value or value.startswith("-") or CONTROL.search(value):
        raise ValueError(f"{shown(value)} can't be a branch")
    return value.removeprefix("refs/heads/")


def _remote(value: str) -> str:
    if value.startswith("-") or CONTROL.search(value):
        raise ValueError("the remote can't be used: take a URL (https, ssh, file) or user@host:path")
    return value


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{shown(value)} is not an address: use host:port, like 127.0.0.1:9700")
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104  # as who leaves out the host means


def _secret(value: str) -> str:
    if len(value) < _SECRET_CHARS:
        raise ValueError(f"the secret is shorter than {_SECRET_CHARS} characters")
    return value


def _namespace(value: str) -> str:
    return Keys(value).namespace


def _yes(value: str) -> bool:
    if value.lower() not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError(f"{shown(value)} is neither yes nor no")
    return value.lower() in {"1", "true", "yes", "on"}


def _one_of(*words: str) -> Callable[[str], str]:
    def choose(value: str) -> str:
        if value not in words:
            raise ValueError(f"{shown(value)} is not one of {', '.join(words)}{nearest(value, words)}")
        return value

    return choose


def _interval(value: str) -> int:
    try:
        return duration_ms(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a duration, like 30s or 5m") from None


def _count(value: str) -> int:
    if not (value.isdecimal() and value.isascii() and 0 < int(value) <= _COUNT_LIMIT):
        raise ValueError(f"{shown(value)} is not a whole number from 1 to {_COUNT_LIMIT}")
    return int(value)


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise ValueError("the path is empty or holds a NUL")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{shown(value)} names a user who has no home folder here") from None


def _workers(value: str) -> int:
    if not (value.isdecimal() and value.isascii() and 0 < int(value) <= _WORKERS_LIMIT):
        raise ValueError(f"{shown(value)} is not a whole number from 1 to {_WORKERS_LIMIT}")
    return int(value)


def _paths(value: str) -> tuple[Path, ...]:
    return tuple(_path(part) for part in value.split(os.pathsep))


def _allowed(value: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    for word in words:
        _one_of(*_ALLOWABLE)(word)
    return words


_HOST: dict[str, Callable[[str], Any]] = {
    "redis": _url,
    "namespace": _namespace,
    "repo": _path,
    "config": _path,
    "debug": _yes,
    "branch": _name,
    "remote": _remote,
    "mirror": _path,
    "log_format": _one_of("human", "json"),
    "http": _address,
    "webhook_secret": _secret,
    "heal": _one_of("auto", "warn"),
    "live_edits": _one_of("commit", "keep", "revert"),
    "interval": _interval,
    "require_signed": _yes,
    "require_fast_forward": _yes,
    "executions_limit": _count,
    "executions_age": _interval,
    "workers": _workers,
    "files": _path,
    "writable": _paths,
    "lua_path": str,
    "allow": _allowed,
}
_FIELDS = {"interval": "interval_ms", "executions_age": "executions_age_ms"}


def _repository_value(key: str, value: object) -> object:
    """One of luasprocs.toml's values, or ValueError with what would be right."""
    match key, value:
        case "folder", str():
            return _folder(value)
        case "namespace", str():
            return _namespace(value)
        case "owner", str() if len(value) <= _OWNER_CHARS and not CONTROL.search(value):
            return value
        case "keep_generations", int() if not isinstance(value, bool) and 0 < value <= _KEEP_LIMIT:
            return value
        case "defaults", dict():
            return dict(value)
    if key not in _TOP:
        raise ValueError(
            f"unknown setting {shown(key)}{nearest(key, _TOP)}; settings of the host go into --config FILE"
        )
    raise ValueError(f"{key} must be {_TOP[key]}")


def _folder(value: str) -> str:
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if value.startswith("/") or ".." in parts or ".git" in parts or CONTROL.search(value):
        raise ValueError(f"folder must be {_TOP['folder']}")
    return "/".join(parts)


def _default(key: str, value: object) -> str:
    """A metadata key's default as a header would say it."""
    text = scalar(value)
    parse_value(key, text)
    return text
