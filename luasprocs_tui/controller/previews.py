"""What a value of a header would do, and what is wrong with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.errors import ServerRightsError, SettingsError
from luasprocs.language.metadata import parse_value
from luasprocs.language.triggers import SCHEDULE_KEYS, schedule_of
from luasprocs_tui.values.schedules import next_times

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs_tui.backend.protocol import Backend

KEYS_LOOKED_AT = 20_000


def preview(key: str, values: Mapping[str, str], backend: Backend) -> str:
    """The next times of a schedule, how many keys a glob matches now; "" for what can't be told. Blocks."""
    schedule = schedule_of(values)
    if key in SCHEDULE_KEYS and any(schedule[:2]):
        try:
            return next_times(schedule, backend.now_ms())
        except (ValueError, SettingsError):
            return ""
    if key == "key" and values.get("key"):
        try:
            globs = parse_value(key, values["key"])
        except SettingsError:
            return ""
        return "; ".join(_matching(backend, glob, KEYS_LOOKED_AT // len(globs)) for glob in globs)
    return ""


def _matching(backend: Backend, glob: str, limit: int) -> str:
    try:
        found, complete = backend.count_keys(glob, limit)
    except ServerRightsError:
        return f"keys that match {glob} can't be counted: this user may not SCAN"
    return f"{glob} matches {'' if complete else 'at least '}{found} key{'' if found == 1 else 's'} now"


def checks() -> Mapping[str, Callable[[str], str]]:
    """For each key of a header: what is wrong with a value, or ""."""
    return {key: partial(_wrong, key) for key in METADATA_KEYS}


def _wrong(key: str, value: str) -> str:
    try:
        parse_value(key, value)
    except SettingsError as error:
        return str(error)
    return ""
