"""The rows of the list: a sproc's trigger, state and counts, as frozen values. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.metadata import says_yes

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEDULES_KEPT = 20_000


class Counters(NamedTuple):
    """What a sproc's stats say; None where nothing was counted yet. `per_s`: runs and calls a second since the last look.

    `errors_per_s`: those of them that failed; `share`: of its server's time (0 to 1), None for one that runs elsewhere.
    `p50_us`, `p99_us`: durations; `last_run_s`: unix time; `failing`: its last run failed, with `last_error`;
    `erring`: some have failed within the last minute.
    """

    calls: int | None = None
    runs: int | None = None
    errors: int | None = None
    per_s: float | None = None
    last_run_s: int = 0
    p50_us: int | None = None
    p99_us: int | None = None
    failing: bool = False
    errors_per_s: float | None = None
    share: float | None = None
    erring: bool = False
    last_error: str = ""


NOTHING_COUNTED = Counters()


class Rates(NamedTuple):
    """Runs and errors a second, the newest last."""

    runs: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()


class Row(NamedTuple):
    """One sproc in the list. `state`: ok, drift (changed by hand), edited (live, not committed), paused or disabled.

    `schedule`: cron, every and tz of its header, "" each where there is none; `commit`: that its last edit here became, or "".
    `by`, `since_ms`: who paused or edited it, and when (unix milliseconds), as far as is known; `asynchronous`: it runs in
    a worker; `catches_up`: after a gap it runs for each key that matches (`catchup=scan`). `dead`: its dead jobs, and
    `dead_error`, of the newest; `missed`: times that its schedule has missed so far, 0 if somebody has acknowledged the
    last, which was noticed at `missed_ms`; `misfire`: what becomes of such times; `uncommitted`: why
    its live edit can't be committed; `slow_ms`: since when it has been slow, as far as this screen has looked, 0 for not.
    """

    name: str
    trigger: str = ""
    state: str = "ok"
    description: str = ""
    counters: Counters = NOTHING_COUNTED
    schedule: tuple[str, str, str] = ("", "", "")
    commit: str = ""
    by: str = ""
    since_ms: int = 0
    asynchronous: bool = False
    catches_up: bool = False
    dead: int = 0
    dead_error: str = ""
    missed: int = 0
    missed_ms: int = 0
    uncommitted: str = ""
    misfire: str = ""
    slow_ms: int = 0

    @property
    def shown_state(self) -> str:
        """In a word or two: what fails, has dead jobs or missed a time says so, and an edit that was committed says as what."""
        if self.state == "ok":
            wrong = {"failing": self.counters.failing, "dead jobs": self.dead, "missed a time": self.missed}
            if said := next((word for word, is_so in wrong.items() if is_so), ""):
                return said
        return self.commit[:8] if self.state == "ok" and self.commit else self.state

    def due_ms(self, now_ms: float) -> int | None:
        """When its schedule is due next; None for none, and for one that is paused or disabled."""
        if not any(self.schedule[:2]) or self.state in {"paused", "disabled"}:
            return None
        found = _due_ms(self.schedule, int(now_ms // 1000))
        return found if found is None or found > now_ms else _due_ms(self.schedule, int(now_ms // 1000) + 1)


@lru_cache(_SCHEDULES_KEPT)
def _due_ms(schedule: tuple[str, str, str], now_s: int) -> int | None:
    from luasprocs.language.recurrence import Recurrence  # noqa: PLC0415  # time zones take 7 ms of the first paint

    try:
        return Recurrence.parse(*schedule).next_after(now_s * 1000)
    except ValueError:  # somebody changed the registry by hand
        return None


def state_of(fields: Mapping[str, str], *, intact: bool, edited: bool = False) -> str:
    """The state of a sproc, the worst first."""
    if not intact:
        return "drift"
    if edited:
        return "edited"
    return "ok" if says_yes(fields, "enabled") else "disabled"
