"""The canary's probe writes, and the conclusions from the events that were received. Pure.

No probe can prove `e` (evicted) and `d` (events of modules): no write causes them at will.
"""

from __future__ import annotations

from typing import NamedTuple


class Probe(NamedTuple):
    """Commands without their key, and the event that one of them publishes: a rare one: its channel carries all keys."""

    event: str
    commands: tuple[tuple[str | int, ...], ...]


PROBES = {
    "g": Probe("persist", (("SET", "x", "PX", 60_000), ("PERSIST",))),
    "$": Probe("setrange", (("SETRANGE", 0, "x"),)),
    "l": Probe("lset", (("RPUSH", "x"), ("LSET", 0, "y"))),
    "h": Probe("hincrbyfloat", (("HINCRBYFLOAT", "x", 1),)),
    "s": Probe("spop", (("SADD", "x"), ("SPOP",))),
    "z": Probe("zremrangebylex", (("ZADD", 0, "x"), ("ZREMRANGEBYLEX", "[x", "[x"))),
    "t": Probe("xsetid", (("XADD", "1-1", "x", "y"), ("XSETID", "2-1"))),
    "n": Probe("new", (("SET", "x"),)),
    "m": Probe("keymiss", (("GET",),)),
    "o": Probe("overwritten", (("SET", "x"), ("SET", "y"))),
    "c": Probe("type_changed", (("RPUSH", "x"), ("SET", "y"))),
    "x": Probe("expired", (("SET", "x", "PX", 1), ("EXISTS",))),
}


def sample(wanted: set[str]) -> str:
    """The class that tells K and E apart if both are wanted; "" if nothing can be proven."""
    return next((letter for letter in PROBES if letter in wanted), "")


def channels(wanted: set[str], db: int, key: bytes) -> set[bytes]:
    """The channels to subscribe to. Classes are proven on the keyspace channel, unless only keyevent channels are wanted."""
    letters = wanted & PROBES.keys()
    found = {b"__keyspace@%d__:%s" % (db, key)} if "K" in wanted and letters else set()
    if "E" in wanted and letters:
        by_event = {sample(wanted)} if "K" in wanted else letters
        found |= {b"__keyevent@%d__:%s" % (db, PROBES[letter].event.encode()) for letter in by_event}
    return found


def judge(wanted: set[str], proven: set[str], heard: set[tuple[str, str]]) -> set[str]:
    """The missing letters. `proven`: classes whose commands were accepted; `heard`: kind and event of each message.

    If nothing of a kind is heard at all, the kind and its classes are missing: no write can tell which of them.
    """
    if not proven:
        return set()
    first = "K" if "K" in wanted else "E"
    missing = {letter for letter in proven if (first, PROBES[letter].event) not in heard}
    if {"K", "E"} <= wanted and (by := sample(wanted)) in proven:
        by_event = ("E", PROBES[by].event) in heard
        if missing == proven:
            return {"K"} if by_event else {"K", "E", *proven}
        return missing | (set() if by_event or by in missing else {"E"})
    return {first, *proven} if missing == proven else missing
