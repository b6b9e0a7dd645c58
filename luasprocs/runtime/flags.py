"""`notify-keyspace-events`: which classes triggers need. Missing ones are switched on, none is switched off. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.runtime.expiring import expiring
from luasprocs.server.errors import event_classes

if TYPE_CHECKING:
    from luasprocs.runtime.bindings import Binding, Bindings

ALL = "g$lshzxetd"
"""What `A` stands for."""
EVERYWHERE = frozenset(f"KE{ALL}nm")
"""What each server that luasprocs runs on has."""
_RARE = {"new": "n", "keymiss": "m", "overwritten": "o", "type_changed": "c"}
_CLASSES = {
    "$": "set setrange incrby incrbyfloat append setbit pfadd",
    "l": "lpush rpush lpop rpop linsert lset lrem ltrim sortstore",
    "h": "hset hdel hincrby hincrbyfloat hexpire hexpired hpersist",
    "s": "sadd srem spop sinterstore sunionstore sdiffstore",
    "z": "zadd zincr zrem zpopmin zpopmax zremrangebyscore zremrangebyrank zremrangebylex zinterstore zunionstore zdiffstore "
    "zrangestore geosearchstore georadiusstore",
    "t": "xadd xtrim xdel xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer xgroup-destroy xgroup-setid",
    "x": "expired",
    "e": "evicted",
}
_RENAMED = frozenset(b"* expired evicted del hexpired hdel incrbyfloat hincrbyfloat spop srem".split())
"""A replica says `del` of what expired or was evicted on its primary, and so on."""
_CLASS_OF = {event: kind for kind, events in _CLASSES.items() for event in events.split()} | _RARE


def class_of(event: str) -> str:
    """The letters that make Redis publish an event: `g` for one of no type, like `del`."""
    if event == "*":
        return ALL
    if event == "hexpired":
        return "hx"  # h on Redis 8, x on Valkey 9
    return _CLASS_OF.get(event, "d" if "." in event else "g")


def renames(binding: Binding) -> bool:
    """Whether some events of a source have another name on a replica."""
    head, _, event = binding.source.partition(b"__:")
    events = {event} if head.startswith(b"__keyevent@") else {name for one in binding.bound for name in one.events}
    return bool(events & _RENAMED)


def expanded(flags: str) -> set[str]:
    """The letters of a setting, with `A` expanded."""
    return set(flags.replace("A", ALL))


def needed_by(binding: Binding) -> set[str]:
    """The letters that one source needs."""
    head, _, event = binding.source.partition(b"__:")
    if head.startswith(b"__keyevent@"):
        return {"E", *class_of(event.decode("utf-8", "replace"))}
    events = {event.decode("utf-8", "replace") for one in binding.bound for event in one.events}
    return {"K", *(letter for event in events for letter in class_of(event))}


def needed(bindings: Bindings) -> set[str]:
    """The letters that all sources need, and those that deadlines need."""
    letters = {letter for binding in bindings.sources.values() for letter in needed_by(binding)}
    return letters | expiring(bindings).classes


def known_to(refusal: object) -> set[str]:
    """The letters that a server supports, as its refusal of a CONFIG SET lists them; empty for any other error."""
    return expanded(event_classes(refusal))


def merged(current: str, wanted: set[str]) -> str:
    """The setting with the missing letters added."""
    letters = expanded(current) | wanted
    rest = letters - set(ALL) - {"A"}
    kept = "A" if set(ALL) <= letters else "".join(letter for letter in ALL if letter in letters)
    return kept + "".join(sorted(rest))
