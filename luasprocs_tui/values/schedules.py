"""The next times of a schedule, as text. Pure."""

from __future__ import annotations

from luasprocs.language.recurrence import Recurrence
from luasprocs_tui.values.times import stamp, zone_name

TIMES_SHOWN = 3


def next_times(schedule: tuple[str, str, str], now_ms: float) -> str:
    """The next times of cron, every and tz; "" where there are none.

    Raises:
        ValueError: the schedule is bad.
    """
    recurrence, at = Recurrence.parse(*schedule), now_ms
    found: list[str] = []
    while len(found) < TIMES_SHOWN and (due := recurrence.next_after(at)) is not None:
        found.append(stamp(due))
        at = due
    return f"next ({zone_name()}): {', '.join(found)}" if found else ""
