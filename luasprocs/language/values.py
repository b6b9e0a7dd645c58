"""What a value in a header may be. Pure.

Each function takes a value as written, without blanks around, and returns it typed. It raises ValueError for
a bad one, with a hint where it knows more than what is expected in general.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from luasprocs.language.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMES_SHOWN = 5
EVENTS = frozenset(
    {
        "del",
        "expire",
        "persist",
        "rename_from",
        "rename_to",
        "move_from",
        "move_to",
        "copy_to",
        "restore",
        "sortstore",
    }
    | {"expired", "evicted", "new", "keymiss", "overwritten", "type_changed"}
    | {"set", "setrange", "incrby", "incrbyfloat", "append", "setbit", "pfadd"}
    | {"lpush", "rpush", "lpop", "rpop", "linsert", "lset", "lrem", "ltrim"}
    | {"hset", "hdel", "hincrby", "hincrbyfloat", "hexpire", "hexpired", "hpersist"}
    | {"sadd", "srem", "spop", "sinterstore", "sunionstore", "sdiffstore"}
    | {"zadd", "zincr", "zrem", "zpopmin", "zpopmax", "zremrangebyscore", "zremrangebyrank", "zremrangebylex"}
    | {"zinterstore", "zunionstore", "zdiffstore", "zrangestore", "geosearchstore", "georadiusstore"}
    | {"xadd", "xtrim", "xdel", "xsetid"}
    | {"xgroup-create", "xgroup-createconsumer", "xgroup-delconsumer", "xgroup-destroy", "xgroup-setid"}
)
"""What Redis 7 to 8 and Valkey 7.2 to 9 publish; a module's events have a dot (`json.set`)."""

# What people write for an event: the command, where its event has another name.
_WRITTEN_FOR = {
    "set": (
        "mset",
        "msetnx",
        "setex",
        "psetex",
        "setnx",
        "getset",
        "bitop",
        "msetex",
    ),
    "incrby": (
        "incr",
        "decr",
        "decrby",
    ),
    "del": (
        "unlink",
        "delete",
        "getdel",
        "delifeq",
    ),
    "expire": (
        "pexpire",
        "expireat",
        "pexpireat",
    ),
    "hexpire": (
        "hpexpire",
        "hexpireat",
        "hpexpireat",
    ),
    "hset": (
        "hmset",
        "hsetnx",
        "hsetex",
    ),
    "rename_to": (
        "rename",
        "renamenx",
    ),
    "lpush": (
        "lmove",
        "blmove",
        "lpushx",
    ),
    "rpop": (
        "rpoplpush",
        "brpoplpush",
        "brpop",
    ),
    "lpop": ("blpop",),
    "rpush": ("rpushx",),
    "move_to": ("move",),
    "copy_to": ("copy",),
    "zincr": ("zincrby",),
    "zadd": ("geoadd",),
    "pfadd": ("pfmerge",),
    "evicted": ("evict",),
    "setbit": ("bitfield",),
    "sadd": ("smove",),
    "sortstore": ("sort",),
    "hdel": ("hgetdel",),
    "zremrangebyscore": ("zrembyscore",),
    "zremrangebyrank": ("zrembyrank",),
    "zremrangebylex": ("zrembylex",),
    "xgroup-create": ("xgroup",),
}
_EVENT_OF = {word: event for event, words in _WRITTEN_FOR.items() for word in words}
_MODULE_EVENT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")

FLAGS = {"yes": True, "no": False}
TYPES = ("string", "hash", "list", "set", "zset", "stream")
_MODULE_TYPE = re.compile(r"[A-Za-z0-9_-]{9}")  # Redis wants exactly 9 of these characters

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]")
_GLOB_CLASS = re.compile(r"\\.|\[\^?((?:\\.|[^\]\\])*)\]", re.DOTALL)
_GLOB_RANGE = re.compile(r"\\.|(.)-(.)|.", re.DOTALL)
_GLOB_SYNTAX = re.compile(r"\\.?|[,\[\]]", re.DOTALL)
_SHOWN_CHARS = 60
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:ms|[smhd]))+")
_FRACTION = re.compile(r"([0-9]{1,6}\.[0-9]{1,6}|[0-9]{1,6}(?=w))([smhdw])")
_DURATION_PART = re.compile(r"([0-9]+)(ms|[smhd])")
_DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPELT_OUT = re.compile(
    r"([0-9]{1,12}) ?(ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
)
DURATION_LIMIT_MS = 3660 * _DURATION_MS["d"]
_SIZE = re.compile(r"([0-9]{1,9})(kb|mb|gb)", re.IGNORECASE)
_SIZE_BYTES = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}
_FUNCTION = re.compile("[A-Za-z0-9_]{1,100}")
_ENGINES = re.compile("(?:^|_)luasprocs_", re.IGNORECASE)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


def shown(text: str) -> str:
    """A value as a message may show it: on one line, without control characters, not long."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return repr(whole if len(whole) <= _SHOWN_CHARS else whole[: _SHOWN_CHARS - 1] + "…").replace("\\\\x", "\\x")


def plain(text: str) -> str:
    """Text, anything but control characters (tabs are fine)."""
    if found := _CONTROL.search(text):
        raise ValueError(f"it holds the control character {found.group()!r}")
    return text


def flag(text: str) -> bool:
    """Yes or no, in any case: the engine reads them so as well."""
    found = FLAGS.get(text.lower())
    if found is None:
        raise ValueError
    return found


def one_of(words: tuple[str, ...], text: str) -> str:
    """One of `words`."""
    if text not in words:
        raise ValueError
    return text


def number(limit: int, text: str) -> int:
    """A whole number from 0 to `limit`."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) > limit:
        raise ValueError
    return int(text)


def duration_ms(text: str) -> int:
    """`15s`, `5m`, `500ms`, `1h`, `1d`, `1m30s`, above zero: milliseconds."""
    if not _DURATION.fullmatch(text):
        plain = plain_duration(text)
        raise ValueError("it has no unit" if text.isdigit() else f"write {plain}" if plain else "")
    total = sum(int(count) * _DURATION_MS[unit] for count, unit in _DURATION_PART.findall(text))
    if not 0 < total <= DURATION_LIMIT_MS:
        raise ValueError("it is too long" if total else "it is zero")
    return total


def plain_duration(text: str) -> str:
    """`5m` for `5 minutes` or `PT5M`, `90m` for `1.5h`, `1h30m` for `1h 30m`; "" for what is no duration in any spelling."""
    compact = text.lower().replace(" ", "")
    if compact != text and _DURATION.fullmatch(compact):
        return compact
    if parts := _FRACTION.fullmatch(compact):
        ms = round(float(parts[1]) * (7 * _DURATION_MS["d"] if parts[2] == "w" else _DURATION_MS[parts[2]]))
        return next(
            (f"{ms // each}{unit}" for unit, each in reversed(_DURATION_MS.items()) if ms and ms % each == 0), ""
        )
    found = _SPELT_OUT.fullmatch(text.lower().removeprefix("pt"))
    if not found:
        return ""
    return found[1] + ("ms" if found[2].startswith(("ms", "milli")) else found[2][0])


def size_bytes(text: str) -> int:
    """`64MB`, `1GB`, `512kB`: bytes; a kB is 1024 bytes, as in redis.conf."""
    found = _SIZE.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise ValueError("it has no unit" if text.isdigit() else "")
    return int(found[1]) * _SIZE_BYTES[found[2].lower()]


def listed(text: str) -> tuple[str, ...]:
    """A comma list: its items without blanks around, each once; empty text has none."""
    return _items(text.split(",")) if text else ()


def _items(parts: Iterable[str]) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(part.strip() for part in parts))
    if not all(items):
        raise ValueError("an item of the list is empty")
    return items


def events_of(text: str) -> tuple[str, ...]:
    """Keyspace events, or `*`; a module's have a dot."""
    events = _items(text.split(","))
    for event in events:
        if event not in EVENTS and event != "*" and not _MODULE_EVENT.fullmatch(event):
            word = event.lower()
            right = f"; did you mean {_EVENT_OF[word]!r}?" if word in _EVENT_OF else nearest(event, EVENTS)
            raise ValueError(f"unknown event {shown(event)}{right}")
    return events


def keys_of(text: str) -> tuple[str, ...]:
    r"""Redis globs; a comma inside `[a,b]` or written `\,` doesn't separate."""
    cuts, bracket = [-1], False
    for found in _GLOB_SYNTAX.finditer(text):
        bracket = found[0] == "[" or (bracket and found[0] != "]")
        if found[0] == "," and not bracket:
            cuts.append(found.start())
    if bracket:
        raise ValueError(r"its `[` is not closed; write \[ for the character itself")
    for one in _GLOB_CLASS.finditer(text):
        for low, high in _GLOB_RANGE.findall(one[1] or ""):
            if low and low.isascii() != high.isascii():  # a C program's `char`, which is signed on x86 and not on ARM
                raise ValueError(f"the range {low}-{high} depends on the machine: list the characters")
    return _items(text[start + 1 : end] for start, end in pairwise([*cuts, len(text)]))


def function_of(text: str) -> str:
    """A name for a Redis function; those of the engine's own, in whatever namespace, are taken."""
    if not _FUNCTION.fullmatch(text):
        raise ValueError
    if text.lower() in FLAGS:
        raise ValueError("a function needs a name of its own")
    if _ENGINES.search(text):
        raise ValueError("names with luasprocs_ are the engine's own")
    return text


def place_of(text: str) -> str:
    """A key."""
    if not text:
        raise ValueError
    return text


def types_of(text: str) -> tuple[str, ...]:
    """Redis' types, or a module's (9 characters)."""
    types = _items(text.split(","))
    for kind in types:
        if kind not in TYPES and not _MODULE_TYPE.fullmatch(kind):
            raise ValueError(f"unknown type {shown(kind)}{nearest(kind, (*TYPES, 'ReJSON-RL', 'vectorset'))}")
    return types


def timezone_of(text: str) -> str:
    """An IANA time zone that this machine knows."""
    if not _ZONE.fullmatch(text):
        raise ValueError
    if text != "UTC":
        import zoneinfo  # noqa: PLC0415  5 ms of every start, needed by few headers

        try:
            zoneinfo.ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise ValueError("unknown time zone on this machine") from None
    return text


def some_of(names: Sequence[str]) -> str:
    """Some names in a sentence, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
