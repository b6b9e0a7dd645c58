"""The next times of a schedule, as text. Pure."""

from __future__ import annotations

from luasprocs.language.recurrence import Recurrence
from luasprocs.state.executions import time_text

TIMES_SHOWN = 3


def next_times(schedule: tuple[str, str, str], now_ms: float) -> str:
    """The next times of cron, every and tz, in UTC; "" where there are none.

    Raises:
        ValueError: the schedule is bad.
    """
    recurrence, at = Recurrence.parse(*schedule), now_ms
    found: list[str] = []
    while len(found) < TIMES_SHOWN and (due := recurrence.next_after(at)) is not None:
        found.append(time_text(due)[:19].replace("T", " "))
        at = due
    return f"next (UTC): {', '.join(found)}" if found else ""
