"""Which event sources a registry listens to, and which sprocs each one triggers. Pure.

A source is one subscription; a sproc is bound to sources that can't both deliver one event, so that it never runs twice
for it: to the keyspace channel of its key, or, with several keys or where too many globs would slow every write down, to
the keyevent channels of its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GLOBS_LIMIT = 4
"""Patterns subscribed to at most: each costs every write of the server (SET at -P 32: 0.75 to 0.8 of its speed with one)."""


@dataclass(frozen=True, slots=True, order=True)
class Trigger:
    """What of a sproc's header binds it to events."""

    name: str
    events: tuple[str, ...]
    keys: tuple[str, ...]


def is_glob(key: str) -> bool:
    """Whether Redis reads a key of the header as a pattern."""
    return any(character in key for character in "*?[\\")


def sources(triggers: Iterable[Trigger], db: int) -> dict[str, tuple[str, ...]]:
    """Each source's channel or pattern, with the names it triggers, sorted."""
    bound: dict[str, list[str]] = {}
    ordered = sorted(triggers)
    globs = {trigger.keys[0] for trigger in ordered if len(trigger.keys) == 1 and is_glob(trigger.keys[0])}
    globs.discard("*")
    few = len(globs) <= GLOBS_LIMIT
    for trigger in ordered:
        for source in _sources_of(trigger, db, few_globs=few):
            bound.setdefault(source, []).append(trigger.name)
    return {source: tuple(names) for source, names in sorted(bound.items())}


def _sources_of(trigger: Trigger, db: int, *, few_globs: bool) -> list[str]:
    key = trigger.keys[0] if len(trigger.keys) == 1 else "*"
    if key != "*" and (few_globs or not is_glob(key)):
        return [f"__keyspace@{db}__:{key}"]
    if "*" in trigger.events:
        return [f"__keyevent@{db}__:*"]
    return [f"__keyevent@{db}__:{event}" for event in trigger.events]


def as_fields(bound: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The triggers hash: names one a line (a name has no control characters)."""
    return {source: "\n".join(names) for source, names in bound.items()}
