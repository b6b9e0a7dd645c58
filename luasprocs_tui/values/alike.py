"""Records that say the same, but for the numbers in it, as one line with a count. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.state.executions import Execution

_NUMBER = re.compile(r"\d+")


class Alike(NamedTuple):
    """`last`: the newest of `runs` records; the first of them came at `since_ms` (unix milliseconds)."""

    last: Execution
    runs: int
    since_ms: int


class Kinds:
    """Counts records as they come. A kind that comes anew stands before those that came earlier, and stays there."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], Alike] = {}

    def add(self, records: Iterable[Execution]) -> None:
        """The oldest first."""
        for one in records:
            kind = _kind_of(one)
            before = self._found.get(kind)
            count, since_ms = (before.runs, before.since_ms) if before else (0, one.time_ms)
            self._found[kind] = Alike(one, count + 1, since_ms)

    def all(self) -> list[tuple[str, Alike]]:
        """Each with a key of its own."""
        return [("\0".join(kind), one) for kind, one in reversed(self._found.items())]


def _kind_of(one: Execution) -> tuple[str, ...]:
    return one.sproc, one.trigger, one.event, one.status, _NUMBER.sub("#", one.said) if one.failed else ""
