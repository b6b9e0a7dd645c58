"""What a git writer may decide: luasprocs.toml. Read with each commit, frozen. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import GENERATIONS_KEPT
from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.errors import SettingsError
from luasprocs.language.metadata import parse_value
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown
from sync.toml import CONTROL, parsed, place_of, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS_FILE = "luasprocs.toml"
_KEEP_LIMIT = 100_000
_OWNER_CHARS = 200
_TOP = {
    "folder": "a folder's path below the repository's top, like sprocs or lua/sprocs",
    "namespace": "a text of letters, digits and _.:-",
    "owner": f"a text of at most {_OWNER_CHARS} characters without control characters",
    "keep_generations": f"a whole number from 1 to {_KEEP_LIMIT}",
    "cluster": "true or false",
    "defaults": "a table of metadata keys: [defaults]",
}


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What luasprocs.toml says. `folder`: where sprocs are, "" for the top; `owner`: "" for the root commit.

    `defaults`: metadata as written, for what a header doesn't say. `keep_generations`: for rollback.

    `cluster`: the sprocs are for a cluster, so `check` warns of literal keys in two slots.
    """

    folder: str = "sprocs"
    namespace: str = ""
    owner: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    keep_generations: int = GENERATIONS_KEPT
    cluster: bool = False


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


def _repository_value(key: str, value: object) -> object:
    """One of luasprocs.toml's values, or ValueError with what would be right."""
    match key, value:
        case "folder", str():
            return _folder(value)
        case "namespace", str():
            return Keys(value).namespace
        case "owner", str() if len(value) <= _OWNER_CHARS and not CONTROL.search(value):
            return value
        case "keep_generations", int() if not isinstance(value, bool) and 0 < value <= _KEEP_LIMIT:
            return value
        case "cluster", bool():
            return value
        case "defaults", dict():
            return dict(value)
    if key in METADATA_KEYS.keys() - _TOP.keys():
        raise ValueError(f"{key} is a metadata key: write it below [defaults]")
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
