"""`event=set`: when something happens to a key. Which sources a registry listens to, and which sprocs each one triggers.

A source is one subscription; a sproc is bound to sources that can't both deliver one event, so that it never runs twice
for it: to the keyspace channel of its key, or, with several keys or where too many globs would slow every write down, to
the keyevent channels of its events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.metadata import KEYS
from luasprocs.language.globs import is_glob
from luasprocs.language.metadata import says_yes, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.contract.metadata import Scope

KEY = "event"
SCOPE: Scope = "event"
EXCLUDES: tuple[str, ...] = ()
NEEDED_BY = {
    "key": "say which event triggers it, event=* for any",
    "type": "say which event triggers it, event=* for any",
}

GLOBS_LIMIT = 4
"""Patterns subscribed to at most: each costs every write of the server (SET at -P 32: 0.75 to 0.8 of its speed with one)."""


class EventTrigger(NamedTuple):
    """What of a sproc's header binds it to events."""

    name: str
    events: tuple[str, ...]
    keys: tuple[str, ...]


def words(values: Mapping[str, str]) -> str:
    """`set user:*`."""
    return f"{values['event']} {values.get('key') or KEYS['key'].default(values)}"


def trigger_of(name: str, values: Mapping[str, str]) -> EventTrigger | None:
    """What binds a sproc to events; None for one without events, and for one that is disabled.

    Raises:
        SettingsError: a value is bad (somebody changed the registry by hand).
    """
    if KEY not in values or not says_yes(values, "enabled"):
        return None
    return EventTrigger(name, typed(values, "event"), typed(values, "key"))


def sources(
    triggers: Iterable[EventTrigger], db: int, current: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, tuple[str, ...]]:
    """Each source's channel or pattern, with the names it triggers, sorted.

    `current`: the same as it is live. A trigger keeps the kind of source that it has: while it moved, events would be lost.
    """
    bound: dict[str, list[str]] = {}
    ordered = sorted(triggers)
    patterns = _patterns(ordered, db, current or {})
    for trigger in ordered:
        for source in _sources_of(trigger, db, patterns):
            bound.setdefault(source, []).append(trigger.name)
    return {source: tuple(names) for source, names in sorted(bound.items())}


def _glob_of(trigger: EventTrigger) -> str | None:
    """The one glob that could be its pattern."""
    key = trigger.keys[0]
    return key if len(trigger.keys) == 1 and key != "*" and is_glob(key) else None


def _patterns(triggers: Iterable[EventTrigger], db: int, current: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The globs to subscribe to: those that are, and the others if all of them together are few."""
    at_keyevents = {name for source, names in current.items() if source.startswith("__keyevent@") for name in names}
    kept: set[str] = set()
    new: set[str] = set()
    for trigger in triggers:
        glob = _glob_of(trigger)
        if glob is not None and trigger.name in current.get(f"__keyspace@{db}__:{glob}", ()):
            kept.add(glob)
        elif glob is not None and trigger.name not in at_keyevents:
            new.add(glob)
    return kept | new if len(kept | new) <= GLOBS_LIMIT else kept


def _sources_of(trigger: EventTrigger, db: int, patterns: set[str]) -> list[str]:
    key = trigger.keys[0] if len(trigger.keys) == 1 else "*"
    if key != "*" and (key in patterns or not is_glob(key)):
        return [f"__keyspace@{db}__:{key}"]
    if "*" in trigger.events:
        return [f"__keyevent@{db}__:*"]
    return [f"__keyevent@{db}__:{event}" for event in trigger.events]


def as_fields(bound: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The triggers hash: names one a line (a name has no control characters)."""
    return {source: "\n".join(names) for source, names in bound.items()}
