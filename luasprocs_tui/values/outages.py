"""Gaps and missed times as outages: one for each stretch of time in which nobody heard. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.misfire import ALL_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.operations.snapshot import Missed
    from luasprocs.state.executions import Gap
    from luasprocs_tui.values.snapshots import Snapshot

TOGETHER_MS = 2000
"""Gaps that are no further apart belong to one outage."""


class Outage(NamedTuple):
    """From when to when (unix milliseconds of the server's clock) events of `sources` were not seen; schedules that `missed`:
    without sources, from when a time was due to when that was noticed.

    `why`: what the first gap says; `new`: nobody has acknowledged it; `repeat`: events may have run twice instead. `sprocs`:
    those that the sources trigger now; `caught`: those of them that catch up by themselves.
    """

    from_ms: int
    to_ms: int
    sources: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    why: str = ""
    daemon: str = ""
    new: bool = False
    repeat: bool = False
    sprocs: tuple[str, ...] = ()
    caught: tuple[str, ...] = ()


def outages_of(snapshot: Snapshot) -> list[Outage]:
    """All that are known, the newest first, and what of them is caught up."""
    gaps = snapshot.running.gaps if snapshot.running else ()
    catching = {row.name for row in snapshot.rows if row.catches_up}
    found: list[Outage] = []
    misfire = {row.name: row.misfire for row in snapshot.rows}
    for one in outages(gaps, snapshot.missed, *snapshot.seen_ms, snapshot.due_ms):
        sprocs = sorted({name for source in one.sources for name in snapshot.sources.get(source, ())})
        means = _MISFIRE.get(misfire.get(one.missed[0], ""), "") if one.missed and not one.sources else ""
        found.append(
            one._replace(
                why=f"{one.why}: {means}" if means else one.why,
                sprocs=tuple(sprocs),
                caught=tuple(name for name in sprocs if name in catching),
            )
        )
    return found


_MISFIRE = {
    "skip": "misfire=skip gives them up",
    "once": "misfire=once runs only the last one late",
    "all": f"misfire=all runs only the last {ALL_LIMIT} late",
}


def outages(
    gaps: Iterable[Gap],
    missed: Sequence[Missed],
    gap_seen_ms: int,
    missed_seen_ms: int,
    due_ms: Mapping[str, int] | None = None,
) -> list[Outage]:
    """The newest first. `gap_seen_ms`, `missed_seen_ms`: up to when somebody has acknowledged them; `due_ms`: when the first
    time of each schedule was due, if that is known.
    """
    found: list[Outage] = []
    for gap in sorted(gaps, key=lambda one: (one.kind, one.from_ms)):
        one = Outage(
            gap.from_ms, gap.to_ms, (gap.source,), (), gap.why, gap.daemon, gap.time_ms > gap_seen_ms, bool(gap.kind)
        )
        last = found[-1] if found else None
        if last and last.repeat == one.repeat and one.from_ms <= last.to_ms + TOGETHER_MS:
            sources = tuple(sorted({*last.sources, *one.sources}))
            found[-1] = last._replace(to_ms=max(last.to_ms, one.to_ms), sources=sources, new=last.new or one.new)
        else:
            found.append(one)
    for late in sorted(missed, key=lambda one: one.at_ms):
        at = next((at for at, one in enumerate(found) if one.from_ms <= late.at_ms <= one.to_ms + _NOTICED_MS), None)
        if at is None:
            why = "scheduled times were missed"
            first_ms = min((due_ms or {}).get(late.name, late.at_ms), late.at_ms)
            found.append(Outage(first_ms, late.at_ms, (), (late.name,), why, new=late.at_ms > missed_seen_ms))
        else:
            found[at] = found[at]._replace(missed=(*found[at].missed, late.name))
    return sorted(found, key=lambda one: -one.to_ms)


_NOTICED_MS = 60_000
"""So long after an outage missed times are noticed at the latest, mostly."""
