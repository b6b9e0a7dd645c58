"""Which server to show when the command line names none, and what a user has set: contexts, theme, keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luasprocs.errors import SettingsError
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown
from luasprocs.operations.local_server import local_server
from luasprocs.server.urls import checked
from luasprocs_tui import actions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_URL = "redis://127.0.0.1:6379/0"
SETTINGS_FILE = "luasprocs/screen.toml"
"""Below $XDG_CONFIG_HOME, else ~/.config."""
THEMES = ("dark", "light", "contrast")


@dataclass(frozen=True, slots=True)
class Context:
    """A registry by its name. `production`: it stands out, and what can do harm asks for the sproc's name."""

    name: str
    url: str = field(repr=False)
    namespace: str = ""
    production: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """What a user has set. `keys`: an action's name to its keys, with commas between them."""

    contexts: Mapping[str, Context] = field(default_factory=dict)
    theme: str = "dark"
    keys: Mapping[str, str] = field(default_factory=dict)


NO_SETTINGS = ScreenSettings()


def default_url(folder: Path) -> str:
    """The server that `luasprocs up` left running for a folder, else the usual local one.

    Raises:
        SettingsError: the file that names it can't be used.
    """
    found = local_server(folder)
    return found.url if found else DEFAULT_URL


def _table_in(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    import tomllib  # noqa: PLC0415  # 2 ms of the first paint, for a file that is seldom there

    return tomllib.loads(text)


def settings_file(environ: Mapping[str, str]) -> Path:
    """Where a user's settings are: LUASPROCS_SCREEN, else below the folder for such files."""
    if own := environ.get("LUASPROCS_SCREEN"):
        return Path(own)
    return Path(environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / SETTINGS_FILE


def read_settings(file: Path) -> ScreenSettings:
    """What stands there; nothing where there is no such file.

    Raises:
        SettingsError: it can't be read, or says something that can't be; names the file and the place.
    """
    try:
        table = _table_in(file)
    except (FileNotFoundError, NotADirectoryError):
        return ScreenSettings()
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{file} can't be read: {error}") from error
    try:
        return ScreenSettings(**{key: _known(key, _READERS)(value) for key, value in table.items()})
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None


def _known(key: str, known: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    if key not in known:
        raise ValueError(f"unknown setting {shown(key)}{nearest(key, known)}: there are {', '.join(known)}")
    return known[key]


def _theme(value: Any) -> str:
    if value not in THEMES:
        raise ValueError(f"theme: take one of {', '.join(THEMES)}")
    return str(value)


def _contexts(value: Any) -> dict[str, Context]:
    return {name: _context(name, one) for name, one in _table("contexts", value).items()}


def _context(name: str, value: Any) -> Context:
    where = f"contexts.{name}"
    fields = _table(where, value)
    if "redis" not in fields:
        raise ValueError(f'{where} has no redis = "URL"')
    try:
        read = {_FIELDS.get(key, key): _known(key, _CONTEXT)(one) for key, one in fields.items()}
        return Context(name, **read)
    except (ValueError, SettingsError) as error:
        raise ValueError(f"{where}: {error}") from None


def _keys(value: Any) -> dict[str, str]:
    found = {}
    for name, keys in _table("keys", value).items():
        action = actions.of(name)
        if action is None:
            raise ValueError(f"keys.{name}: no such action{nearest(name, tuple(actions.names()))}")
        if not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")):
            raise ValueError(f'keys.{name}: take a key, or some with commas between them, such as "ctrl+p,f5"')
        found[action.name] = ",".join(part.strip() for part in keys.split(","))
    if clash := actions.clash(found):
        raise ValueError(f"keys: {clash}")
    return found


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a table")  # noqa: TRY004  # it is a value that the file has
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("take a text")  # noqa: TRY004  # as above
    return value


def _url(value: Any) -> str:
    checked(_text(value))
    return str(value)


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("take true or false")  # noqa: TRY004  # as above
    return value


_READERS = {"contexts": _contexts, "theme": _theme, "keys": _keys}
_FIELDS = {"redis": "url"}
_CONTEXT: Mapping[str, Callable[[Any], Any]] = {
    "redis": _url,
    "namespace": _text,
    "production": _yes_or_no,
    "read_only": _yes_or_no,
}
