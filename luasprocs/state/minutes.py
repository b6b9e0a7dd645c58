"""What ran in each minute of the last day, of each sproc and of all: counted by the engine (minutes.lua)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import number, raw, text, time_ms
from luasprocs.server.reading import raise_refusals
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from luasprocs.server.registry import Registry

DAY = 24 * 60
MINUTE_MS = 60_000
EVERYONE = ""
"""The name that stands for all sprocs."""
SPROCS_A_PIPELINE = 500
_OPEN = ("minute", "runs", "calls", "errors", "call_errors")
_FAILING = ("failed_in_a_row", "failing_since")
_MINUTE = re.compile(r"([@-{])([0-9]{1,16})(?:!([0-9]{1,16}))?")
_FIRST = ord("@")


class Minute(NamedTuple):
    """What ran in a minute: recorded runs and direct calls, and how many failed or were given up."""

    runs: int = 0
    errors: int = 0


class ByMinute(NamedTuple):
    """The last day by the server's clock. `minutes`: unix minute to what ran in it; minutes without anything are left out.

    `failing_since_ms`: of a sproc the first of the runs that have failed since the last that did not, 0 for none.
    """

    now_ms: int
    minutes: Mapping[int, Minute]
    failing_since_ms: int = 0

    @property
    def now(self) -> int:
        """The minute that lasts."""
        return self.now_ms // MINUTE_MS

    def since(self, minutes: int) -> list[Minute]:
        """So many of the last minutes, the one that lasts is the last."""
        return [self.minutes.get(minute, Minute()) for minute in range(self.now - minutes + 1, self.now + 1)]


def read_minutes(registry: Registry, names: Iterable[str] = (EVERYONE,)) -> dict[str, ByMinute]:
    """Each sproc's day over all shards; `EVERYONE` is the sum of all.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    wanted = list(dict.fromkeys(names))
    shards = each_shard(registry, lambda shard: _read(shard, wanted))
    now_ms = max((now_ms for now_ms, _ in shards), default=0)
    each = zip(*(found for _, found in shards), strict=True)
    return {
        name: ByMinute(
            now_ms, added(day for day, _ in parts), min(filter(None, (since for _, since in parts)), default=0)
        )
        for name, parts in zip(wanted, each, strict=True)
    }


def _read(shard: Registry, names: Sequence[str]) -> tuple[int, list[tuple[dict[int, Minute], int]]]:
    found: list[tuple[dict[int, Minute], int]] = []
    now_ms = 0
    for start in range(0, max(1, len(names)), SPROCS_A_PIPELINE):
        pipe: Any = shard.client.pipeline(transaction=False)
        pipe.time()
        for name in names[start : start + SPROCS_A_PIPELINE]:
            pipe.hmget(raw(shard.keys.stats(name)), (*_OPEN, *_FAILING))
            pipe.hgetall(raw(shard.keys.minutes(name)))
        now, *replies = pipe.execute(raise_on_error=False)
        raise_refusals((now, *replies))
        now_ms = time_ms(now)
        for stats, hours in zip(replies[::2], replies[1::2], strict=True):
            opened = stats[: len(_OPEN)] if isinstance(stats, list) else ()
            failing = stats[len(_OPEN) :] if isinstance(stats, list) else ()
            since_ms = number(text(failing[1] or "")) if failing and failing[0] not in {None, b"0"} else 0
            found.append((parsed(opened, hours, now_ms), since_ms))
    return now_ms, found


def parsed(opened: Sequence[Any], hours: Any, now_ms: int) -> dict[int, Minute]:
    """The day of one sproc on one shard. `opened`: the fields of its stats that tell of the minute that lasts; `hours`: the hash.

    Of what anybody may have written there only what can be true is taken.
    """
    now = now_ms // MINUTE_MS
    fields = hours.items() if isinstance(hours, dict) else ()
    closed = ((minute, ran) for key, value in fields for minute, ran in _hour(text(key), text(value)))
    parts = [*closed, *(_open(opened) if opened else ())]
    return added({minute: ran} for minute, ran in parts if now - DAY < minute <= now)


def _hour(field: str, value: str) -> Iterator[tuple[int, Minute]]:
    head, _, minutes = value.partition(" ")
    hour = number(head)
    if number(field) != hour % 24:
        return
    for letter, runs, errors in _MINUTE.findall(minutes):
        yield hour * 60 + ord(letter) - _FIRST, Minute(number(runs), number(errors))


def _open(opened: Sequence[Any]) -> Iterator[tuple[int, Minute]]:
    """The minute that was counted in last, which has not been put into its hour."""
    begun, *counts = (text(one or "") for one in opened)
    minute, *before = (number(word) for word in begun.split(" "))
    if len(before) == 2:
        runs, calls, errors, call_errors = map(number, counts)
        found = Minute(max(0, runs + calls - before[0]), max(0, errors + call_errors - before[1]))
        if any(found):
            yield minute, found


def added(parts: Iterable[Mapping[int, Minute]]) -> dict[int, Minute]:
    """The sum of several days."""
    found: dict[int, Minute] = {}
    for part in parts:
        for minute, (runs, errors) in part.items():
            before = found.get(minute, Minute())
            found[minute] = Minute(before.runs + runs, before.errors + errors)
    return found
