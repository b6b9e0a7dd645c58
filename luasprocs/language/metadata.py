"""What a sproc's header may say: one table of keys, what each accepts, and the typed result. Pure.

The registry stores values as they were written; `metadata_of` makes them typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from luasprocs.errors import SettingsError
from luasprocs.language.cron import cron_of
from luasprocs.language.values import (
    duration_ms,
    events_of,
    flag,
    keys_of,
    listed,
    nearest,
    number,
    one_of,
    plain,
    shown,
    size_bytes,
    timezone_of,
    types_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RETRIES_LIMIT = 1000
SERVER_TIMEOUT_MS = 1_000
ASYNC_TIMEOUT_MS = 30_000
MEMORY_BYTES = 64 * 1024 * 1024
BACKOFF_MS = 1_000

_CACHED_CHARS = 200


@dataclass(frozen=True, slots=True)
class Key:
    """One metadata key: `parse` raises ValueError, maybe with a hint; `expected` completes "expected …"."""

    parse: Callable[[str], Any]
    expected: str


_FLAG = Key(flag, "yes or no")
_TEXT = Key(plain, "text without control characters")
_DURATION = Key(duration_ms, "a duration above zero, like 15s, 5m, 500ms, 1m30s")

KEYS: dict[str, Key] = {
    "description": _TEXT,
    "owner": _TEXT,
    "tags": Key(listed, "a comma list of words"),
    "event": Key(events_of, "a comma list of keyspace events, like set, hset, expired, rename_to; or *"),
    "key": Key(keys_of, "a comma list of keys or globs, like user:*"),
    "type": Key(types_of, "a comma list of string, hash, list, set, zset, stream, or a module's type like ReJSON-RL"),
    "value": _FLAG,
    "cron": Key(cron_of, "5 cron fields, 6 with seconds first, or @hourly, @daily, @weekly, @monthly, @yearly"),
    "every": _DURATION,
    "timezone": Key(timezone_of, "an IANA time zone, like Europe/Berlin or UTC"),
    "misfire": Key(partial(one_of, ("skip", "once", "all")), "skip, once or all"),
    "runasync": _FLAG,
    "timeout": _DURATION,
    "memory": Key(size_bytes, "a size, like 64MB, 1GB, 512kB"),
    "overlap": Key(partial(one_of, ("skip", "queue", "allow")), "skip, queue or allow"),
    "retries": Key(partial(number, RETRIES_LIMIT), f"a whole number from 0 to {RETRIES_LIMIT}"),
    "backoff": _DURATION,
    "catchup": Key(partial(one_of, ("no", "scan")), "no or scan"),
    "reentrant": _FLAG,
    "readonly": _FLAG,
    "enabled": _FLAG,
    "library": _FLAG,
}
EXTRA_PREFIX = "x_"
_EXTRA = re.compile(EXTRA_PREFIX + "[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Metadata:
    """A sproc's metadata, typed, defaults filled in; `extra` has the `x_` keys with their values as written.

    `cron` is 5 or 6 fields (`@daily` is spelled out). `keys` is `("*",)` for an event without a key, and
    empty without event. `types` empty means any.
    """

    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    value: bool = True
    cron: str | None = None
    every_ms: int | None = None
    timezone: str = "UTC"
    misfire: str = "once"
    runasync: bool = False
    timeout_ms: int = SERVER_TIMEOUT_MS
    memory_bytes: int = MEMORY_BYTES
    overlap: str = "queue"
    retries: int = 0
    backoff_ms: int = BACKOFF_MS
    catchup: str = "no"
    reentrant: bool = False
    readonly: bool = False
    enabled: bool = True
    library: bool = False
    extra: tuple[tuple[str, str], ...] = ()


_NEEDS = (
    ("key", ("event",), "say which event triggers it, event=* for any"),
    ("type", ("event",), "say which event triggers it, event=* for any"),
    ("timezone", ("cron",), "nothing else depends on the time of day"),
    ("misfire", ("cron", "every"), "there are no ticks to miss"),
)
_ATTRIBUTES = {
    "event": "events",
    "key": "keys",
    "type": "types",
    "every": "every_ms",
    "timeout": "timeout_ms",
    "memory": "memory_bytes",
    "backoff": "backoff_ms",
}


def is_key(key: str) -> bool:
    """Whether a header may have this key."""
    return key in KEYS or _EXTRA.fullmatch(key) is not None


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
    entry = KEYS.get(key, _TEXT)
    try:
        return entry.parse(plain(text))
    except ValueError as error:
        hint = f": {error}" if str(error) else ""
        raise SettingsError(f"{key}={shown(text)}{hint}; expected {entry.expected}") from None


def contradictions(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys that don't go with the others, each with why. Takes valid values as written."""
    if _says_yes(values, "library"):
        for key in ("event", "cron", "every"):
            if key in values:
                yield key, f"a library never runs alone, others require it: drop {key} or library=yes"
        if _says_yes(values, "runasync"):
            yield "runasync", "a library runs where its caller runs: drop runasync or library=yes"
    if {"cron", "every"} <= values.keys():
        yield "every", "every and cron exclude each other: keep one"
    for key, others, why in _NEEDS:
        if key in values and not any(other in values for other in others):
            yield key, f"{key} needs {' or '.join(others)}: {why}"
    if "memory" in values and not _says_yes(values, "runasync"):
        yield "memory", "memory needs runasync=yes: on the server a sproc's memory is the server's"


def _says_yes(values: Mapping[str, str], key: str) -> bool:
    return values.get(key, "").strip().lower() == "yes"


def metadata_of(fields: Mapping[str, str]) -> Metadata:
    """Typed metadata of values as written, from a header or the registry's hash; other fields are ignored.

    Raises:
        SettingsError: a value is bad (somebody changed the registry by hand).
    """
    typed = {_ATTRIBUTES.get(key, key): parse_value(key, text) for key, text in fields.items() if key in KEYS}
    if "events" in typed:
        typed.setdefault("keys", ("*",))
    if "cron" in typed:
        typed.setdefault("overlap", "skip")
    if typed.get("runasync"):
        typed.setdefault("timeout_ms", ASYNC_TIMEOUT_MS)
    extra = sorted((key, text) for key, text in fields.items() if is_key(key) and key not in KEYS)
    return Metadata(**typed, extra=tuple(extra))


def with_defaults(values: Mapping[str, str], defaults: Mapping[str, str]) -> Mapping[str, str]:
    """Metadata as written, and the defaults for what it doesn't say, as far as they fit. Pure."""
    if not defaults:
        return values
    merged = {**defaults, **values}
    # `timezone` by default is for those that have a cron, and says nothing wrong about the others.
    while unfit := {key for key, _ in contradictions(merged)} - values.keys():
        merged = {key: value for key, value in merged.items() if key not in unfit}
    return merged
