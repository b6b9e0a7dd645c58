"""Work at fixed intervals, all of which wakes an idle process together: each wake-up costs more than what is done in it."""

from __future__ import annotations

import time


def rest_s(interval_s: float) -> float:
    """How long to sleep until the next whole multiple of an interval, on this machine's monotonic clock (seconds)."""
    return interval_s - time.monotonic() % interval_s
