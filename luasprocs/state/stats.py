"""What is counted of each sproc: its Stats hash. docs/registry.md documents each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.codes import FAILED
from luasprocs.contract.encoding import number, raw, text, texts
from luasprocs.contract.keys import Keys
from luasprocs.contract.records import BUCKET_PREFIX, MINUTE, STATS, names_of
from luasprocs.server.reading import raise_refusals, reading
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.server.registry import Registry


SPROCS_A_PIPELINE = 1000
_COUNTED = ("last_run", "last_status", "failed_in_a_row", "failing_since", "last_error", "last_missed")
"""The fields that findings need."""
_MINUTE = frozenset(names_of(MINUTE))
_UNITS = {"last_run": "last_run_s", "failing_since": "failing_since_ms", "last_missed": "last_missed_ms"}
"""Fields whose attribute names the unit as well."""


class Stats(NamedTuple):
    """What is counted of one sproc. `last_run_s`, `failing_since_ms`, `last_missed_ms`: unix time.

    `last_status`: how the last recorded run ended, "" if none was; `failed_in_a_row`: how many failed since one that did not.
    `buckets`: upper bound in microseconds to runs, rising, not cumulative; None is the bound of the longest.
    """

    calls: int = 0
    call_errors: int = 0
    calls_us_total: int = 0
    runs: int = 0
    errors: int = 0
    skipped: int = 0
    missed: int = 0
    last_run_s: int = 0
    last_error: str = ""
    last_status: str = ""
    failed_in_a_row: int = 0
    failing_since_ms: int = 0
    last_missed_ms: int = 0
    duration_us_total: int = 0
    duration_us_max: int = 0
    buckets: tuple[tuple[int | None, int], ...] = ()

    @classmethod
    def of_all(cls, replies: Sequence[Any]) -> Stats:
        """From the hashes of all shards. An error that stands for one counts nothing."""
        found = summed(replies)
        return cls() if isinstance(found, Exception) else cls.parse(found)

    @classmethod
    def parse(cls, stored: Mapping[Any, Any] | None) -> Stats:
        """From the hash."""
        found = texts(stored)
        bounds = {
            name.removeprefix(BUCKET_PREFIX): number(value)
            for name, value in found.items()
            if name.startswith(BUCKET_PREFIX)
        }
        buckets = sorted((number(bound), runs) for bound, runs in bounds.items() if runs and number(bound))
        longest = bounds.get("inf", 0)
        values: dict[str, Any] = {
            _UNITS.get(one.name, one.name): number(found.get(one.name, "")) if one.number else found.get(one.name, "")
            for one in STATS
        }
        return cls(
            **values,
            buckets=(*buckets, *([(None, longest)] if longest else [])),
        )

    def percentile_us(self, share: float) -> int | None:
        """How long the shortest `share` (0 to 1) of the runs took at most, about; None where nothing was counted.

        Within a bucket runs count as spread evenly, and none as longer than the longest was.
        """
        before, rank, below = 0, share * sum(runs for _, runs in self.buckets), 0
        for bound, runs in self.buckets:
            top = bound if bound is not None else max(self.duration_us_max, below)
            if before + runs >= rank:
                reached = below + (top - below) * (rank - before) / runs
                return min(round(reached), self.duration_us_max or round(reached))
            before, below = before + runs, top
        return None

    @property
    def server_us(self) -> int:
        """How long it has kept the server, if it runs there: its recorded runs, and about its direct calls."""
        return self.duration_us_total + self.calls_us_total

    @property
    def failing(self) -> bool:
        """Whether the last recorded run failed."""
        return self.last_status in FAILED

    @property
    def all_errors(self) -> int:
        """Recorded runs and direct calls that failed."""
        return self.errors + self.call_errors

    @property
    def p50_us(self) -> int | None:
        """Half of the runs took no longer, about."""
        return self.percentile_us(0.5)

    @property
    def p99_us(self) -> int | None:
        """Of a hundred runs 99 took no longer, about."""
        return self.percentile_us(0.99)


def stored_stats(registry: Registry, name: str) -> dict[bytes, bytes]:
    """The hash of one sproc, over all shards, without what the engine has there for itself (MINUTE).

    Raises:
        RegistryError: somebody wrote over the key.
    """

    def read(shard: Registry) -> Any:
        with reading(Keys.stats_prefix, shard.keys, name):
            return shard.client.hgetall(raw(shard.keys.stats(name)))

    found: dict[bytes, bytes] = summed(each_shard(registry, read))
    return {field: value for field, value in found.items() if text(field) not in _MINUTE}


def read_stats(registry: Registry, names: Iterable[str], *, whole: bool = False) -> dict[str, Stats]:
    """Each sproc's stats over all shards, `whole` or what findings need; those of which nothing was counted are left out.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    wanted = list(names)
    each = zip(wanted, *each_shard(registry, lambda shard: _counted(shard, wanted, whole)), strict=True)
    return {name: Stats.of_all(replies) for name, *replies in each if any(replies)}


def _counted(shard: Registry, names: Sequence[str], whole: bool) -> list[dict[Any, Any]]:
    """Of each sproc what is counted on a shard; nothing for what is no hash."""
    found: list[dict[Any, Any]] = []
    for start in range(0, len(names), SPROCS_A_PIPELINE):
        pipe: Any = shard.client.pipeline(transaction=False)
        for name in names[start : start + SPROCS_A_PIPELINE]:
            key = raw(shard.keys.stats(name))
            pipe.hgetall(key) if whole else pipe.hmget(key, _COUNTED)
        replies = pipe.execute(raise_on_error=False)
        raise_refusals(replies)
        for reply in replies:
            fields = dict(zip(_COUNTED, reply, strict=True)) if isinstance(reply, list) else reply
            found.append({key: value for key, value in fields.items() if value} if isinstance(fields, dict) else {})
    return found


_LAST = {"last_error", "last_status", "failed_in_a_row", "failing_since"}
"""Fields that tell of the last run: the newest shard's."""
_GREATEST = {"last_run", "last_missed", "duration_us_max"}


def summed(replies: Sequence[Any]) -> Any:
    """One hash from those of all shards, as stored: counts are added, what is last is the newest one's.

    One reply alone stays as it is, an error too; beside others an error is left out.
    """
    if len(replies) == 1:
        return replies[0]
    hashes = [one for one in replies if isinstance(one, dict)]
    if not hashes:
        return replies[0]
    hashes.sort(key=lambda one: _numbered(one, b"last_run"))
    found: dict[Any, Any] = {}
    for one in hashes:
        for name, value in one.items():
            field = text(name)
            if field in _LAST:
                continue
            count, before = number(text(value)), number(text(found.get(name, b"")))
            found[name] = str(max(count, before) if field in _GREATEST else count + before).encode()
    return found | {name: value for name, value in hashes[-1].items() if text(name) in _LAST}


def _numbered(stored: Mapping[Any, Any], name: bytes) -> int:
    value = stored.get(name, stored.get(name.decode(), b""))
    return number(text(value))
