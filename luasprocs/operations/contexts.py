"""The registries that a user has given names to, in screen.toml. Imports neither redis nor git: front ends start here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luasprocs.errors import SettingsError
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown
from luasprocs.server.urls import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTINGS_FILE = "luasprocs/screen.toml"
"""Below $XDG_CONFIG_HOME, else ~/.config."""


@dataclass(frozen=True, slots=True)
class Context:
    """A registry by its name. `production`: it stands out, and what can do harm asks for the sproc's name."""

    name: str
    url: str = field(repr=False)
    namespace: str = ""
    production: bool = False
    read_only: bool = False


def settings_file(environ: Mapping[str, str]) -> Path:
    """Where a user's settings are: LUASPROCS_SCREEN, else below the folder for such files."""
    if own := environ.get("LUASPROCS_SCREEN"):
        return Path(own)
    return Path(environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / SETTINGS_FILE


def read_contexts(environ: Mapping[str, str]) -> dict[str, Context]:
    """By name; none where there is no such file.

    Raises:
        SettingsError: the file can't be read, or says something of them that can't be.
    """
    file = settings_file(environ)
    try:
        return contexts_in(table_in(file).get("contexts", {}))
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None


def context_named(contexts: Mapping[str, Context], name: str) -> Context:
    """Raises SettingsError: there is none of that name."""
    if name not in contexts:
        said = ", ".join(contexts) or "(none is set)"
        raise SettingsError(f"there is no context {shown(name)}: take one of {said}")
    return contexts[name]


def context_of(contexts: Mapping[str, Context], url: str, namespace: str) -> Context:
    """The context of a registry, however its server is named: the strictest if several are, one without a name if none is."""
    if not contexts:
        return Context("", url, namespace)
    from luasprocs.server.addresses import same_db  # noqa: PLC0415  # ssl, for which a screen that just starts would wait

    same = [one for one in contexts.values() if one.namespace == namespace and same_db(one.url, url)]
    return max(same, key=lambda one: (one.production, one.read_only), default=Context("", url, namespace))


def table_in(file: Path) -> dict[str, Any]:
    """The whole file; empty where there is none. Raises SettingsError."""
    try:
        text = file.read_text(encoding="utf-8")
        import tomllib  # noqa: PLC0415  # 2 ms of the first paint, for a file that is seldom there

        return tomllib.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{file} can't be read: {error}") from error


def contexts_in(value: Any) -> dict[str, Context]:
    """From the table `contexts`. Raises ValueError."""
    return {name: _context(name, one) for name, one in table("contexts", value).items()}


def known(key: str, settings: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """How a setting is read. Raises ValueError: there is none of that name."""
    if key not in settings:
        raise ValueError(f"unknown setting {shown(key)}{nearest(key, settings)}: there are {', '.join(settings)}")
    return settings[key]


def table(name: str, value: Any) -> dict[str, Any]:
    """Raises ValueError: it is none."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a table")  # noqa: TRY004  # it is a value that the file has
    return value


def _context(name: str, value: Any) -> Context:
    where = f"contexts.{name}"
    fields = table(where, value)
    if "redis" not in fields:
        raise ValueError(f'{where} has no redis = "URL"')
    try:
        read = {_FIELDS.get(key, key): known(key, _CONTEXT)(one) for key, one in fields.items()}
        return Context(name, **read)
    except (ValueError, SettingsError) as error:
        raise ValueError(f"{where}: {error}") from None


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


_FIELDS = {"redis": "url"}
_CONTEXT: Mapping[str, Callable[[Any], Any]] = {
    "redis": _url,
    "namespace": _text,
    "production": _yes_or_no,
    "read_only": _yes_or_no,
}
