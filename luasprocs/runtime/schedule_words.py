"""Schedules as the engine's `cron` takes them. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import Status

if TYPE_CHECKING:
    from luasprocs.language.misfire import Due
    from luasprocs.runtime.timers import Claim


def claim_words(claim: Claim) -> tuple[Any, ...]:
    """One run: name, the engine's mark, its time, the next time, missed times, and a verdict."""
    timer, due = claim
    verdict = Status.MISSED if due.skipped else Status.TIMEOUT if timer.timed_out else ""
    return timer.name, timer.held, due.at, ms_word(due.next), _missed(due), verdict


def ms_word(ms: float | None) -> str:
    """A time; empty for never."""
    return "" if ms is None or ms == math.inf else str(int(ms))


def _missed(due: Due) -> str:
    """The record of skipped times: how many, from when to when, and a sentence."""
    if not due.missed:
        return ""
    first, last = (f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" for ms in (due.first, due.last))
    what = f"{due.missed} times, {first} to {last}: nothing ran them" if due.missed > 1 else f"{first}: nothing ran it"
    return f"{due.missed} {_seconds(due.first)}-{_seconds(due.last)} {what}"


def _seconds(ms: int) -> str:
    """A time as the engine writes it: seconds, with milliseconds only if there are any."""
    return f"{ms // 1000}.{ms % 1000:03}" if ms % 1000 else str(ms // 1000)
