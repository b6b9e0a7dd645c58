"""Which server to show when the command line names none, and what a user has set: contexts, theme, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.errors import SettingsError
from luasprocs.language.spelling import nearest
from luasprocs.operations.contexts import contexts_in, known, table, table_in
from luasprocs.operations.local_server import local_server
from luasprocs_tui import actions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from luasprocs.operations.contexts import Context

DEFAULT_URL = "redis://127.0.0.1:6379/0"
THEMES = ("dark", "light", "contrast")


class ScreenSettings(NamedTuple):
    """What a user has set. `keys`: an action's name to its keys, with commas between them."""

    contexts: Mapping[str, Context] = {}
    theme: str = "dark"
    keys: Mapping[str, str] = {}


NO_SETTINGS = ScreenSettings()


def default_url(folder: Path) -> str:
    """The server that `luasprocs up` left running for a folder, else the usual local one.

    Raises:
        SettingsError: the file that names it can't be used.
    """
    found = local_server(folder)
    return found.url if found else DEFAULT_URL


def read_settings(file: Path) -> ScreenSettings:
    """What stands there; nothing where there is no such file.

    Raises:
        SettingsError: it can't be read, or says something that can't be; names the file and the place.
    """
    try:
        return ScreenSettings(**{key: known(key, _READERS)(value) for key, value in table_in(file).items()})
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None


def _theme(value: Any) -> str:
    if value not in THEMES:
        raise ValueError(f"theme: take one of {', '.join(THEMES)}")
    return str(value)


def _keys(value: Any) -> dict[str, str]:
    found = {}
    for name, keys in table("keys", value).items():
        action = actions.of(name)
        if action is None:
            raise ValueError(f"keys.{name}: no such action{nearest(name, tuple(actions.names()))}")
        if not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")):
            raise ValueError(f'keys.{name}: take a key, or some with commas between them, such as "ctrl+p,f5"')
        found[action.name] = ",".join(part.strip() for part in keys.split(","))
    if clash := actions.clash(found):
        raise ValueError(f"keys: {clash}")
    return found


_READERS: Mapping[str, Callable[[Any], Any]] = {"contexts": contexts_in, "theme": _theme, "keys": _keys}
