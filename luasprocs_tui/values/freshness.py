"""How old what is shown is, and how that is said. Pure."""

from __future__ import annotations

from typing import NamedTuple

from luasprocs_tui.values.numbers import age

STALE_AFTER_S = 6.0
READING = "reading …"
"""Where something is shown once it was read."""


class Freshness(NamedTuple):
    """`read_at_s`: when it was last read, of the monotonic clock, None for never; `error`: why the last read failed, or "".

    `failed_at_s`: when the first read since then failed, None where that is not known.
    """

    read_at_s: float | None = None
    error: str = ""
    failed_at_s: float | None = None

    def age_s(self, now_s: float) -> float:
        """Seconds since it was last read; 0 if it never was."""
        return 0.0 if self.read_at_s is None else now_s - self.read_at_s

    def stale(self, now_s: float) -> bool:
        """Whether it can't be believed any more."""
        return bool(self.error) or self.age_s(now_s) > STALE_AFTER_S

    def badge(self, now_s: float) -> tuple[str, str] | None:
        """Text and tone (bad, wait) of a badge that says what is wrong; None if nothing is."""
        if self.read_at_s is None:
            passed_s = 0 if self.failed_at_s is None else now_s - self.failed_at_s
            since = f" for {age(passed_s)}" if passed_s >= 1 else ""
            return (f"no connection{since}", "bad") if self.error else ("connecting", "wait")
        if self.stale(now_s):
            lost = "connection lost" if self.error else "no answer"
            return f"{lost}, data {age(self.age_s(now_s))} old", "bad"
        return None
