"""Times as the viewer wants to read them: in UTC, or in the zone of this machine. One for the process, as TZ is."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from luasprocs_tui.values.numbers import age

UTC_NAME = "UTC"
_local = False


def show_local(*, local: bool) -> None:
    """From now on in the zone of this machine, or in UTC."""
    global _local  # noqa: PLW0603  # as the zone of a process is
    _local = local


def _at(time_ms: float) -> datetime | None:
    try:
        found = datetime.fromtimestamp(time_ms / 1000, UTC)
        return found.astimezone() if _local else found
    except (ValueError, OverflowError, OSError):
        return None


def zone_name() -> str:
    """`UTC`, or as this machine calls its own: `CET`."""
    found = _at(time.time() * 1000)
    return (found and found.tzname()) or UTC_NAME


def in_zone(label: str) -> str:
    """A column's label with the zone in place of UTC."""
    return label.replace(f"({UTC_NAME})", f"({zone_name()})") if _local else label


def stamp(time_ms: float, *, zone: bool = False) -> str:
    """`2026-01-31 12:00:00`, with its `zone` where no head of a column names it; `?` for a time that no calendar has."""
    found = _at(time_ms)
    return found.strftime(f"%Y-%m-%d %H:%M:%S{' %Z' * zone}") if found else "?"


def clock(time_ms: int) -> str:
    """`12:00:00.000`; `?` as above."""
    found = _at(time_ms)
    return f"{found:%H:%M:%S}.{time_ms % 1000:03}" if found else "?"


def whole(time_ms: int) -> str:
    """With its offset: `2026-01-31T12:00:00.000Z`, `2026-01-31T13:00:00.000+01:00`; `?` as above."""
    found = _at(time_ms)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z") if found else "?"


def restamped(iso: str, *, zone: bool = False) -> str:
    """A time that was written in ISO 8601, as `stamp` shows it; what is none as it is."""
    try:
        return stamp(datetime.fromisoformat(iso).timestamp() * 1000, zone=zone)
    except (ValueError, OverflowError):
        return iso[:19].replace("T", " ")


def passed_since(when: str, now_ms: float) -> str:
    """How long ago an ISO 8601 time with its offset was: `3m`; "" if it can't be read."""
    try:
        at_s = datetime.fromisoformat(when).timestamp()
    except (ValueError, OverflowError):
        return ""
    return age(max(0.0, now_ms / 1000 - at_s))
