"""The daemons, as their last heartbeats tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from luasprocs.state.daemons import DaemonInfo
from luasprocs_tui import actions
from luasprocs_tui.screens.of_state import StateTable
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.numbers import age, short_number
from luasprocs_tui.values.times import stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.values.snapshots import Snapshot


class Beat(NamedTuple):
    """A daemon at `now_ms` of the server's clock. `shards`: how many it hears, of `of`."""

    daemon: DaemonInfo
    now_ms: int
    shards: int
    of: int

    @property
    def alive(self) -> bool:
        """Whether it was heard of lately."""
        return self.daemon.alive(self.now_ms)

    @property
    def until_ms(self) -> int:
        """Up to when it is known to have lived."""
        return self.now_ms if self.alive else self.daemon.heard_ms


class DaemonsScreen(StateTable[Beat]):
    """Those that were heard of in the last ten minutes; who stopped in order isn't among them."""

    PLACE = "daemons"
    heading = "Daemons"
    OPENS = False
    WRAPS = GROWS = True
    UNSORTED = "who is silent first"
    NONE = "none: luasprocs daemon runs triggers, schedules and jobs"
    COLUMNS = (
        Column("DAEMON", 12, 40, third=True),
        Column("HOST", 8, 24),
        Column("PID", 5, 8, right=True, rank=2),
        Column("SEEN", 4, 5, right=True),
        Column("UP", 4, 5, right=True),
        Column("LAG", 4, 6, right=True),
        Column("EVENTS", 6, 7, right=True),
        Column("RUNS", 5, 6, right=True),
        Column("JOBS", 4, 5, right=True),
        Column("HEARS", 5, 7, right=True, rank=1),
        Column("VERSION", 7, 12, rank=3),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("daemons")]

    def rows(self, snapshot: Snapshot) -> Sequence[Beat]:
        if (running := snapshot.running) is None:
            return ()
        heard = [frozenset(ids) for ids in running.hearing.values()]
        beats = [Beat(one, running.now_ms, sum(one.id in ids for ids in heard), len(heard)) for one in running.daemons]
        return sorted(beats, key=lambda beat: beat.alive)  # who is silent comes first

    def line(self, row: Beat) -> Line:
        one = row.daemon
        cells = (
            one.id,
            one.host,
            str(one.pid or ""),
            age(one.age_ms(row.now_ms) / 1000),
            age(max(0.0, row.until_ms / 1000 - one.started_s)) if one.started_s else "",
            *(short_number(number) for number in (one.lag, one.read, one.runs, one.jobs)),
            f"{row.shards}/{row.of}" if row.of > 1 else "yes" if row.shards else "no",
            one.version,
        )
        tone = "bad" if not row.alive else "warn" if one.waits else "ok"
        return Line(one.id, cells, tone, {"bad": "●", "warn": "◐"}.get(tone, " "))

    def about(self, row: Beat) -> str:
        if not row.alive:
            return f"no heartbeat for {age(row.daemon.age_ms(row.now_ms) / 1000)}, and not stopped in order: check its host"
        waits = "; ".join(f"can't go on with {what}: {why}" for what, why in row.daemon.waits.items())
        if waits:
            return waits
        parts = [
            f"started {stamp(row.daemon.started_s * 1000, zone=True)}" if row.daemon.started_s else "",
            "hears events" if row.shards else "stands by: others hear events",
            f"{short_number(row.daemon.ignored)} messages ignored, which are not of the engine"
            if row.daemon.ignored
            else "",
        ]
        return ", ".join(filter(None, parts))
