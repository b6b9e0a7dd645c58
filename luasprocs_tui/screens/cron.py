"""Schedules and their countdowns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs.state.schedules import ScheduleInfo
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import SprocActions
from luasprocs_tui.screens.lists import TableScreen
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.schedules import next_times
from luasprocs_tui.values.times import stamp, whole
from luasprocs_tui.values.trouble import SIGNS, TONES, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.backend.protocol import Backend


class CronScreen(SprocActions, TableScreen[tuple[ScheduleInfo, int]]):
    """Each schedule with the server's time of that moment."""

    PLACE = "cron"
    heading = "Schedules"
    WRAPS = GROWS = True
    UNSORTED = "by name"
    NONE = "no sproc has a schedule: a header line gives it one, such as -- every=15s or -- cron=0 3 * * *"
    COLUMNS = (
        Column("NAME", 12, 60),
        Column("IN", 5, 8, right=True),
        Column("STATE", 6, 18),
        Column("MISSED", 6, 8, right=True),
        Column("SCHEDULE", 12, 30),
        Column("ZONE", 4, 20),
        Column("NEXT (UTC)", 19, 19, grow=True, rank=1),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("cron")]

    @property
    def sprocs(self) -> tuple[str, ...]:
        return tuple(one.name for one, _ in self.meant)

    def read(self, backend: Backend) -> Sequence[tuple[ScheduleInfo, int]]:
        found = backend.schedules()
        return [(one, found.now_ms) for one in found.each]

    def line(self, row: tuple[ScheduleInfo, int]) -> Line:
        one, now_ms = row
        left = age(-(-one.left_ms(now_ms) // 1000)) if one.due_ms else "-"
        due = stamp(one.due_ms) if one.due_ms else "-"
        state = one.problem or ("no daemon runs it" if one.state == "idle" else one.shown_state)
        cells = (one.name, left, state, str(one.missed), one.schedule, one.zone or "-", due)
        tone = "bad" if one.problem or one.failing else "off" if one.state != "ok" else "ok"
        if tone == "ok" and one.name in self._missed:
            return Line(one.name, cells, TONES[Trouble.MISSED], SIGNS[Trouble.MISSED])
        return Line(one.name, cells, tone, SIGNS[Trouble.FAILING] if tone == "bad" else " ")

    @property
    def _missed(self) -> set[str]:
        """Those whose missed times nobody has acknowledged."""
        snapshot = self.shell.state.snapshot
        return {row.name for row in (snapshot.rows if snapshot else ()) if row.missed}

    def say(self) -> None:
        super().say()
        if self.is_mounted:
            self.label_keys(*(one.state for one, _ in self.meant))

    def about(self, row: tuple[ScheduleInfo, int]) -> str:
        one, now_ms = row
        last = f"ran {whole(one.ran_ms)}" if one.ran_ms else "never ran"
        cron, every = ("", one.schedule.removeprefix("every ")) if not one.zone else (one.schedule, "")
        due = next_times((cron, every, one.zone), now_ms) if one.due_ms else ""
        return "  ".join(part for part in (one.name, due, last, f"misfire {one.misfire}", one.problem) if part)

    @on(messages.RowOpened)
    def _opened(self) -> None:
        if found := self.selected:
            self.post_message(messages.OpenSource(found[0].name))
