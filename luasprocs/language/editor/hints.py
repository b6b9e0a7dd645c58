"""What an editor writes beside a header: the next times of a schedule. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.fields import scan
from luasprocs.language.recurrence import Recurrence
from luasprocs.language.triggers import KINDS, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 3


class Hint(NamedTuple):
    """A text that stands at a place, and isn't in the file."""

    at: int
    text: str


def schedule_hints(text: str, now_ms: float) -> Iterator[Hint]:
    """Beside what makes a schedule its next times, in the schedule's zone; nothing if the header is broken."""
    field = next((one for one in scan(text) if one.key in KINDS and KINDS[one.key].SCOPE == "schedule"), None)
    if field is None:
        return
    try:
        values = header.values_of(text.encode("utf-8", "surrogateescape"), "")
        recurrence = Recurrence.parse(*schedule_of(values))
        zone = ZoneInfo(recurrence.zone)
    except (ProblemsError, ValueError):
        return
    times, at = [], now_ms
    for _ in range(TIMES):
        due = recurrence.next_after(at)
        if due is None:
            break
        times.append(datetime.fromtimestamp(due / 1000, UTC).astimezone(zone))
        at = due
    if times:
        first, *rest = times
        told = [
            f"{first:%a %d %b %H:%M:%S}",
            *(f"{one:%H:%M:%S}" if one.date() == first.date() else f"{one:%a %d %b %H:%M:%S}" for one in rest),
        ]
        yield Hint(field.value_at + len(field.value), f"  next: {', '.join(told)} {first:%Z}")
