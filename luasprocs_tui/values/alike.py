"""Records that say the same, but for the numbers in it, as one line with a count. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.state.executions import Execution

KINDS_LIMIT = 500
"""Kinds that are kept: where each record says something else, the list would grow for ever."""
_NUMBER = re.compile(r"\d+")


class Alike(NamedTuple):
    """`last`: the newest of `runs` records; the first of them came at `since_ms` (unix milliseconds)."""

    last: Execution
    runs: int
    since_ms: int


class Kinds:
    """Counts records as they come. A kind that comes anew stands before those that came earlier, and stays there.

    Of more than KINDS_LIMIT those are forgotten that have not come for longest.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], Alike] = {}

    def add(self, records: Iterable[Execution]) -> None:
        """The oldest first."""
        for one in records:
            kind = _kind_of(one)
            before = self._found.get(kind)
            count, since_ms = (before.runs, before.since_ms) if before else (0, one.time_ms)
            self._found[kind] = Alike(one, count + 1, since_ms)
            if len(self._found) > 2 * KINDS_LIMIT:  # not at each: to look for the oldest takes long
                self._forget()

    def _forget(self) -> None:
        newest = sorted(self._found, key=lambda kind: self._found[kind].last.time_ms)[-KINDS_LIMIT:]
        kept = frozenset(newest)
        self._found = {kind: one for kind, one in self._found.items() if kind in kept}

    def all(self) -> list[tuple[str, Alike]]:
        """Each with a key of its own."""
        if len(self._found) > KINDS_LIMIT:
            self._forget()
        return [("\0".join(kind), one) for kind, one in reversed(self._found.items())]


def _kind_of(one: Execution) -> tuple[str, ...]:
    return one.sproc, one.trigger, one.event, one.status, without_numbers(one.said) if one.failed else ""


def without_numbers(said: str) -> str:
    """What a text says, whatever keys and counts it is about."""
    return _NUMBER.sub("#", said)
