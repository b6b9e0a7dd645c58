"""Which keys of a header go together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.metadata import EACH
from luasprocs.language import triggers
from luasprocs.language.metadata import says_yes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_OF_A_CALL = frozenset({"function", "evalsha", "stale", "crossslot"})
"""What only a sproc has that the server runs by itself."""
_OF_A_RUN = frozenset({*_OF_A_CALL, "oom", "at"})
"""What no library has."""


def contradictions(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys that don't go with the others, each with why. Takes valid values as written."""
    if says_yes(values, "library"):
        for key in (*triggers.KINDS, *_OF_A_RUN):
            if key in values:
                yield key, f"a library only runs when required: remove {key} or library=yes"
        if says_yes(values, "runasync"):
            yield "runasync", "a library runs where its caller runs: drop runasync or library=yes"
    elif says_yes(values, "runasync"):
        for key in values.keys() & _OF_A_CALL:
            yield key, f"{key} is about runs on the server: drop {key} or runasync=yes"
    if values.get("at") == EACH and not values.keys() & {"cron", "every"}:
        yield "at", "at=each is for schedules, which run on every shard then: name a key, or add cron or every"
    yield from triggers.contradictions(values)
    if "memory" in values and not says_yes(values, "runasync"):
        yield "memory", "memory needs runasync=yes: on the server a sproc's memory is the server's"


def with_defaults(values: Mapping[str, str], defaults: Mapping[str, str]) -> Mapping[str, str]:
    """Metadata as written, and the defaults for what it doesn't say, as far as they fit. Pure."""
    if not defaults:
        return values
    merged = {**defaults, **values}
    # `timezone` by default is for those that have a cron, and says nothing wrong about the others.
    while unfit := {key for key, _ in contradictions(merged)} - values.keys():
        merged = {key: value for key, value in merged.items() if key not in unfit}
    return merged
