"""Trigger kinds: what starts a sproc other than a call. A new kind is a module here and a line in KINDS.

Its keys stand in `luasprocs.contract.metadata`; the engine and the runtime deliver it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.language.metadata import says_yes
from luasprocs.language.triggers import cron, event, every

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from luasprocs.language.triggers.base import TriggerKind

_ALL: tuple[TriggerKind, ...] = (event, cron, every)
KINDS: Mapping[str, TriggerKind] = {kind.KEY: kind for kind in _ALL}
"""By the header key that makes it."""

HEADER_KEYS = tuple(dict.fromkeys(key for kind in _ALL for key in (kind.KEY, *kind.NEEDED_BY)))
"""The keys that `described` and `schedule_of` read, of whatever kind."""

SCHEDULE_KEYS = ("cron", "every", "timezone")
"""What makes a `Recurrence`, in the order in which it takes them."""


def kinds_of(values: Mapping[str, str]) -> list[TriggerKind]:
    """The kinds of triggers that a sproc has."""
    return [kind for key, kind in KINDS.items() if key in values]


def is_scheduled(values: Mapping[str, str]) -> bool:
    """Whether a sproc has a schedule that runs."""
    return says_yes(values, "enabled") and any(kind.SCOPE == "schedule" for kind in kinds_of(values))


def schedule_of(values: Mapping[str, str]) -> tuple[str, str, str]:
    """What a `Recurrence` is made of, as written; "" for what a sproc doesn't say."""
    first, second, third = (values.get(key, "") for key in SCHEDULE_KEYS)
    return first, second, third


def described(values: Mapping[str, str]) -> str:
    """What runs a sproc, in words: `set dream*, cron */5 * * * *`, `every 15s`, `async call`, `library`."""
    if says_yes(values, "library"):
        return "library"
    called = [f"FCALL {values['function']}"] if "function" in values else []
    found = ", ".join([*(kind.words(values) for kind in kinds_of(values)), *called]) or "call"
    return f"async {found}" if says_yes(values, "runasync") else found


def contradictions(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys that don't go with the triggers that there are, or need one that there isn't, each with why."""
    for key, other in _EXCLUSIVE:
        if key in values and other in values:
            yield key, f"{key} and {other} exclude each other: keep one"
    for key, kinds, why in _NEEDS:
        if key in values and not kinds & values.keys():
            yield key, f"{key} needs {' or '.join(sorted(kinds))}: {why}"


# Each header of a sync is looked at: as few steps as there can be.
_EXCLUSIVE = [(kind.KEY, other) for kind in _ALL for other in kind.EXCLUDES]
_WHY = {key: why for kind in _ALL for key, why in kind.NEEDED_BY.items()}
_NEEDS = [(key, frozenset(kind.KEY for kind in _ALL if key in kind.NEEDED_BY), why) for key, why in _WHY.items()]
