"""When a schedule is due: cron in a time zone, or every so often. Pure; times are unix milliseconds.

`every` counts from 1970, so that all daemons agree. Cron's fields are matched by `cronsim` on local time without a zone, since
its own handling of clock changes ends at five fields. What a change of the clocks does is decided here, as vixie cron has it:

- minute and hour both fixed (neither begins with `*`): a local time that the change skips is due once, at the change itself; one
  that comes twice is due the first time.
- else the schedule follows real time: what is skipped is not due, what comes twice is due twice.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from luasprocs.contract.metadata import KEYS
from luasprocs.language.cron import cron_of
from luasprocs.language.values import duration_ms

ZONE = KEYS["timezone"].default({})
_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # local times have no zone here
_LOOK_BACK_S = 1
_LOOK_BACK_FACTOR = 4
_LOOK_BACK_LIMIT_S = 100 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The times of one schedule: `every_ms`, or `cron` (5 or 6 fields) in `zone`."""

    cron: str = ""
    every_ms: int = 0
    zone: str = ZONE

    @classmethod
    def parse(cls, cron: str, every: str, zone: str) -> Recurrence:
        """From a header's values as written.

        Raises:
            ValueError: one of them is bad (somebody changed the registry by hand), or this machine lacks the zone.
        """
        if every:
            return cls(every_ms=duration_ms(every))
        return cls(cron=cron_of(cron), zone=str(_zone(zone or ZONE)))

    def __str__(self) -> str:
        return f"every {self.every_ms}ms" if self.every_ms else f"{self.cron} {self.zone}"

    def next_after(self, ms: float) -> int | None:
        """The first time after `ms`; None where there is none within 50 years."""
        if self.every_ms:
            return int(ms // self.every_ms + 1) * self.every_ms
        found = _next(self.cron, self.zone, int(ms // 1000))
        return None if found is None else found * 1000

    def count(self, after_ms: int, until_ms: int, limit: int) -> int:
        """How many times there are after the one and not after the other; counts no further than `limit`."""
        if self.every_ms:
            return min(limit, max(0, until_ms // self.every_ms - after_ms // self.every_ms))
        found, at = 0, self.next_after(after_ms)
        while at is not None and at <= until_ms and found < limit:
            found, at = found + 1, self.next_after(at)
        return found

    def newest(self, after_ms: int, until_ms: int, number: int) -> list[int]:
        """The last `number` of these times, rising."""
        if self.every_ms:
            last = until_ms // self.every_ms * self.every_ms
            return [at for at in range(last - (number - 1) * self.every_ms, last + 1, self.every_ms) if at > after_ms]
        span_s = _LOOK_BACK_S
        while True:
            start_ms = max(after_ms, until_ms - span_s * 1000)
            found = self._between(start_ms, until_ms)
            if len(found) >= number or start_ms == after_ms or span_s > _LOOK_BACK_LIMIT_S:
                return found[-number:]
            span_s *= _LOOK_BACK_FACTOR

    def _between(self, after_ms: int, until_ms: int) -> list[int]:
        found, at = [], self.next_after(after_ms)
        while at is not None and at <= until_ms:
            found.append(at)
            at = self.next_after(at)
        return found


@functools.cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(f"this machine knows no time zone {name!r}") from error


def _next_local(cron: str, local: datetime) -> datetime | None:
    """The next match of the fields, whatever the clocks do."""
    return next(CronSim(cron, local), None)


@functools.lru_cache(maxsize=4096)  # many schedules are alike
def _next(cron: str, name: str, after_s: int) -> int | None:
    zone = _zone(name)
    now = datetime.fromtimestamp(after_s, zone)
    local = now.replace(tzinfo=None, fold=0)
    if name == "UTC":
        found = _next_local(cron, local)
        return None if found is None else _seconds(found)
    *_, minute, hour, _day, _month, _weekday = cron.split()
    if not minute.startswith("*") and not hour.startswith("*"):
        return _next_fixed(cron, zone, after_s, local)
    return _next_real(cron, zone, after_s, now)


def _next_fixed(cron: str, zone: ZoneInfo, after_s: int, local: datetime) -> int | None:
    while (found := _next_local(cron, local)) is not None:
        at = _instant(found, zone, 0)
        if _local(at, zone) != found:
            at = _change(_instant(found, zone, 1), at, zone)
        if at > after_s:
            return at
        local = found
    return None


def _next_real(cron: str, zone: ZoneInfo, after_s: int, now: datetime) -> int | None:
    local = now.replace(tzinfo=None, fold=0)
    again = _instant(local, zone, 1)
    if not now.fold and again > after_s and _local(again, zone) == local:
        # This local time comes once more: what is due before the change, else the first of what comes again.
        change = _change(after_s, again, zone)
        found = _next_local(cron, local)
        if found is not None and (at := _instant(found, zone, 0)) < change:
            return at
        after_s, local = change - 1, _local(change, zone) - _SECOND
    while (found := _next_local(cron, local)) is not None:
        both = [_instant(found, zone, fold) for fold in (0, 1)]
        there = [at for at in both if at > after_s and _local(at, zone) == found]
        if there:
            return min(there)
        local = found
        if _local(both[0], zone) != found:  # skipped: on from the change
            local = max(local, _local(_change(both[1], both[0], zone), zone) - _SECOND)
    return None


def _seconds(local: datetime) -> int:
    return (local - _EPOCH) // _SECOND


def _local(at_s: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_s, zone).replace(tzinfo=None, fold=0)


def _instant(local: datetime, zone: ZoneInfo, fold: int) -> int:
    """When it is that local time: the first (0) or the second; of a skipped one, by the clock before (0) or after (1)."""
    return int(local.replace(tzinfo=zone, fold=fold).timestamp())


def _change(before_s: int, after_s: int, zone: ZoneInfo) -> int:
    """The second of the change between two times that have different clocks."""
    old = datetime.fromtimestamp(before_s, UTC).astimezone(zone).utcoffset()
    while after_s - before_s > 1:
        middle = (before_s + after_s) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == old:
            before_s = middle
        else:
            after_s = middle
    return after_s
