"""What a value of a header may be: a parser for each kind of key, what it expects, and what a value means.

The registry stores values as they were written. Which keys there are, and their defaults, is the contract's.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.metadata import EXTRA_PREFIX, KEYS
from luasprocs.errors import SettingsError
from luasprocs.language.cron import cron_of
from luasprocs.language.spelling import nearest
from luasprocs.language.values import (
    FLAGS,
    duration_ms,
    events_of,
    flag,
    function_of,
    keys_of,
    listed,
    number,
    one_of,
    place_of,
    plain,
    shown,
    size_bytes,
    timezone_of,
    types_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.contract.metadata import Kind, MetadataKey

_CACHED_CHARS = 200
_EXTRA = re.compile(EXTRA_PREFIX + "[A-Za-z0-9_]+")


class _Reading(NamedTuple):
    """How a key is read: `parse` raises ValueError, maybe with a hint; `expected` completes "expected …"."""

    parse: Callable[[str], Any]
    expected: str


_KINDS: Mapping[Kind, _Reading] = {
    "flag": _Reading(flag, "yes or no"),
    "text": _Reading(plain, "text without control characters"),
    "list": _Reading(listed, "a comma list of words"),
    "events": _Reading(events_of, "a comma list of keyspace events, like set, hset, expired, rename_to; or *"),
    "keys": _Reading(keys_of, "a comma list of keys or globs, like user:*"),
    "types": _Reading(
        types_of, "a comma list of string, hash, list, set, zset, stream, or a module's type like ReJSON-RL"
    ),
    "cron": _Reading(cron_of, "5 cron fields, 6 with seconds first, or @hourly, @daily, @weekly, @monthly, @yearly"),
    "duration": _Reading(duration_ms, "a duration above zero, like 15s, 5m, 500ms, 1m30s"),
    "timezone": _Reading(timezone_of, "an IANA time zone, like Europe/Berlin or UTC"),
    "function": _Reading(function_of, "a function's name of letters, digits and _, like reserve"),
    "place": _Reading(place_of, "a key, whose shard of a cluster serves runs without keys; or each, for a schedule"),
    "size": _Reading(size_bytes, "a size, like 64MB, 1GB, 512kB"),
}


def _reading(key: MetadataKey) -> _Reading:
    if key.kind == "choice":
        *first, last = key.choices
        return _Reading(partial(one_of, key.choices), f"{', '.join(first)} or {last}")
    if key.kind == "number":
        return _Reading(partial(number, key.limit), f"a whole number from 0 to {key.limit}")
    return _KINDS[key.kind]


_FLAG_DEFAULTS = {name: FLAGS[key.default({})] for name, key in KEYS.items() if key.kind == "flag"}
_READINGS = {name: _reading(key) for name, key in KEYS.items()}


def is_key(key: str) -> bool:
    """Whether a header may have this key."""
    return key in KEYS or _EXTRA.fullmatch(key) is not None


def expected(key: str) -> str:
    """What a key's value may be, as it completes "expected …"."""
    return _READINGS.get(key, _KINDS["text"]).expected


def parse_value(key: str, text: str) -> Any:
    """The typed value of a key: str, bool, int (milliseconds, bytes) or a tuple of str.

    Raises:
        SettingsError: no such key (with the nearest right one), or a bad value (with what is expected).
    """
    # Few headers say anything new, and checking a cron expression takes longer than all else.
    return _parse(key, text) if len(text) <= _CACHED_CHARS else _parse.__wrapped__(key, text)


@lru_cache(maxsize=4096)
def _parse(key: str, text: str) -> Any:
    if not is_key(key):
        raise SettingsError(f"unknown key {shown(key)}{nearest(key, KEYS)}; own keys start with {EXTRA_PREFIX}")
    reading = _READINGS.get(key, _KINDS["text"])
    try:
        return reading.parse(plain(text))
    except ValueError as error:
        hint = f": {error}" if str(error) else ""
        raise SettingsError(f"{key}={shown(text)}{hint}; expected {reading.expected}") from None


def typed(values: Mapping[str, str], key: str) -> Any:
    """What a key means beside these values as written: its own value or its default, typed; None without either.

    Raises:
        SettingsError: the value is bad (somebody changed the registry by hand).
    """
    text = values.get(key) or KEYS[key].default(values)
    return parse_value(key, text) if text else None


def says_yes(values: Mapping[str, str], key: str) -> bool:
    """Whether a flag is yes, by its default if it is neither yes nor no. The one reading of flags in Python."""
    default = _FLAG_DEFAULTS[key]
    return FLAGS.get(values[key].strip().lower(), default) if key in values else default
