"""Which part of its server's one thread a sproc takes: its run time between two looks, beside the time that passed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.state.stats import Stats

WINDOW_S = 10.0
"""A share is that of the last five to ten seconds: a run of 200 ms once a second would else be a fifth or nothing."""


def share_of(before: Stats, now: Stats, passed_s: float, threads: int = 1) -> float | None:
    """The share (0 to 1) of a sproc that runs on the server; None where nothing can be said of it.

    `threads`: how many servers have run it, the shards of a cluster. It counts the time of its runs, without what a server
    does around them (reading the command, answering).
    """
    grown_us = now.server_us - before.server_us
    if passed_s <= 0 or grown_us < 0:  # somebody has deleted what was counted
        return None
    return min(1.0, grown_us / 1e6 / passed_s / max(1, threads))


class _Look(NamedTuple):
    at_s: float
    stats: Stats


class Shares:
    """The shares of many sprocs, each look against one that is five to ten seconds older, as far as there is one."""

    def __init__(self) -> None:
        self._looks: dict[str, tuple[_Look, _Look]] = {}

    def look(self, name: str, stats: Stats, at_s: float, threads: int = 1) -> float | None:
        """The share of one, looked at now; None at the first look."""
        now = _Look(at_s, stats)
        if name not in self._looks or stats.server_us < self._looks[name][1].stats.server_us:
            self._looks[name] = now, now
            return None
        old, half = self._looks[name]
        found = share_of(old.stats, stats, at_s - old.at_s, threads)
        if at_s - half.at_s >= WINDOW_S / 2:
            self._looks[name] = half, now
        return found

    def keep(self, names: Iterable[str]) -> None:
        """Forgets all others."""
        self._looks = {name: self._looks[name] for name in names if name in self._looks}


def share_text(share: float | None) -> str:
    """In at most four cells: `34%`, `0.5%`, `0%`; a dot where it isn't known."""
    if share is None:
        return "·"
    percent = share * 100
    return f"{percent:.1f}%" if 0.05 <= percent < 9.95 else f"{percent:.0f}%"


def share_bar(share: float | None, width: int) -> str:
    """The same as a bar of `width` cells; something that is not nothing has an eighth of one at least."""
    eighths = max(round((share or 0) * width * 8), 1 if share and share >= 0.0005 else 0)
    whole, rest = divmod(min(eighths, width * 8), 8)
    return ("█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)
