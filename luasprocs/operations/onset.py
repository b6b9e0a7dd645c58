"""Since when a sproc fails, and which generation came before: from what is counted by the minute, and the history. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.state.minutes import DAY, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.registry.history import Generation
    from luasprocs.state.minutes import ByMinute, Minute

GOOD_MINUTES = 10
"""After so many minutes in which all runs went well, errors are other ones, and a generation before them is not their cause."""
BEFORE_MINUTES = 60
"""If it failed within so many minutes before a generation, and no other came between, that one did not begin it."""
OTHERS_MINUTES = 2
"""A generation that did not change the sproc, maybe what it requires, can only be meant so soon before."""


class Onset(NamedTuple):
    """Errors began between `from_ms` and `to_ms` (unix; the same if it is known), after a generation.

    `touched`: that changed the sproc; `first`: that created it, so that nothing went well before.
    """

    from_ms: int
    to_ms: int
    generation: Generation
    touched: bool
    first: bool = False

    def __str__(self) -> str:
        one = self.generation
        author = one.author.partition(" <")[0].strip() or one.applied_by
        subject = f": {one.subject}" if one.subject else ""
        other = " (its first)" if self.first else "" if self.touched else " (which did not change it)"
        return f"errors began {self._after} gen {one.generation} by {author}{subject}{other}"

    @property
    def _after(self) -> str:
        least_s, most_s = (max(0, at_ms - self.generation.at_ms) // 1000 for at_ms in (self.from_ms, self.to_ms))
        if self.from_ms == self.to_ms:
            return f"{_said(least_s)} after" if least_s else "within a second of"
        if least_s >= 2 * 3600:  # a minute more or less says nothing there
            return f"{least_s // 3600} h {least_s % 3600 // 60} min after"
        if not least_s:
            return f"within {_said(most_s)} of"
        least, most = _said(least_s), _said(most_s)
        return f"{least.split()[0] if least.split()[1] == most.split()[1] else least} to {most} after"


def onset(day: ByMinute, history: Iterable[Generation], name: str = "") -> Onset | None:
    """When the last errors of a day began, and the generation that they began with; None where that can't be said.

    Of a minute it is only known that there were errors; the day's `failing_since_ms`, if it lies in that minute, is exact.
    `name`: of the sproc, "" for all. It can't be said if there was no error, if nothing is known from before, if no generation
    came shortly before, or if there were errors before it as well.
    """
    began = _began(day.minutes)
    if began is None:
        return None
    from_ms, to_ms = began * MINUTE_MS, (began + 1) * MINUTE_MS
    if from_ms <= day.failing_since_ms < to_ms:
        from_ms = to_ms = day.failing_since_ms
    past = sorted((one for one in history if 0 < one.at_ms <= to_ms), key=lambda one: one.at_ms)
    exact = from_ms == to_ms
    for place in reversed(range(len(past))):
        one = past[place]
        touched = not name or name in one.touched
        if _good_minutes(day.minutes, one.at_ms // MINUTE_MS, began) >= GOOD_MINUTES:
            return None
        soon = from_ms - one.at_ms <= OTHERS_MINUTES * MINUTE_MS
        if not (touched or (soon and not _touching(past[:place], name, day, began))):
            continue
        before = _before(day, past[: place + 1], name, began, exact=exact)
        if before is _Before.WENT_WELL:
            return Onset(max(from_ms, one.at_ms), to_ms, one, touched, bool(name) and name in one.created)
        if before is _Before.UNKNOWN and touched:
            return None  # an earlier one that changed it, too, is meant even less
    return None


def _began(minutes: Mapping[int, Minute]) -> int | None:
    """The first minute of the errors that were last: between two of them so many good minutes did not pass."""
    first, good = None, 0
    for minute in sorted(minutes, reverse=True):
        if minutes[minute].errors:
            first, good = minute, 0
        elif first is not None:
            good += 1
            if good >= GOOD_MINUTES:
                break
    return first


def _good_minutes(minutes: Mapping[int, Minute], after: int, before: int) -> int:
    return sum(after < minute < before and not ran.errors for minute, ran in minutes.items())


def _touching(past: Sequence[Generation], name: str, day: ByMinute, began: int) -> bool:
    """Whether a generation that changed it is as near, counted by what ran since."""
    return any(
        name in one.touched and _good_minutes(day.minutes, one.at_ms // MINUTE_MS, began) < GOOD_MINUTES for one in past
    )


class _Before(Enum):
    """How the sproc went before a generation."""

    WENT_WELL = auto()
    """Or it was not there, or ran only with what that generation made of it."""
    FAILED = auto()
    UNKNOWN = auto()


def _before(day: ByMinute, past: Sequence[Generation], name: str, began: int, *, exact: bool) -> _Before:
    """How it went before the last generation of `past`. `exact`: it is known when in its minute the first error came."""
    one, earlier = past[-1], past[:-1]
    at, since = one.at_ms // MINUTE_MS, earlier[-1].at_ms // MINUTE_MS if earlier else 0
    known = [minute for minute in day.minutes if minute < min(at, began)]
    if any(day.minutes[minute].errors for minute in known if minute > max(since, at - BEFORE_MINUTES)):
        return _Before.FAILED
    first = day.minutes[began]
    if known or (name and name in one.created) or (exact and first.runs > first.errors):
        return _Before.WENT_WELL
    lately = (each for each in earlier if each.at_ms > day.now_ms - DAY * MINUTE_MS)
    never_ran = bool(name) and any(name in each.created for each in lately) and (exact or at < began)
    return _Before.WENT_WELL if never_ran else _Before.UNKNOWN


def _said(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
