"""All that is wrong, the worst first; `enter` leads to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import Finding
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import Acknowledging
from luasprocs_tui.screens.of_state import StateTable
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.header import place_of, title_of
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.trouble import Group, groups_of
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.binding import BindingType

    from luasprocs_tui.values.snapshots import Snapshot

_LISTED = {FindingCode.PAUSED: "-s paused", FindingCode.UNSAVED_EDIT: "-s edited"}
"""What is mended at the sprocs themselves: the filter of the list that shows them."""
_HELPS: Mapping[str, tuple[str, ...]] = {
    FindingCode.FAILING: ("failures", "ribbon"),
    FindingCode.DEAD_JOBS: ("jobs", "retry", "drop"),
    FindingCode.MISSED: ("outages", "acknowledge"),
    FindingCode.GAP: ("outages", "acknowledge"),
    FindingCode.REFUSED: ("wanted",),
    FindingCode.PAUSED: ("pause",),
    FindingCode.UNSAVED_EDIT: ("history", "undo"),
}
"""What to press here, first what leads there."""
_OF_SPROCS = frozenset({FindingCode.FAILING, FindingCode.MISSED, FindingCode.PAUSED, FindingCode.UNSAVED_EDIT})
"""Whose names are those of sprocs."""
_RESUMES = {"pause": "Resume"}
"""What a key does to that which is paused."""
_TONES = {"error": ("bad", "●"), "warning": ("warn", "◐"), "info": ("off", "○")}


class FindingsScreen(StateTable[Finding | Group], Acknowledging):
    """What `luasprocs status` says, with the key that leads to each; behind it what stands out in the list alone."""

    PLACE = "findings"
    heading = "What is wrong"
    NONE = "nothing"
    WRAPS = GROWS = True
    UNSORTED = "the worst first"
    COLUMNS = (
        Column("FINDING", 12, 16),
        Column("KEY", 3, 5),
        Column("SINCE", 5, 5, right=True),
        Column("WHAT IT IS", 20, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("findings")]

    def __init__(self, at: str = "") -> None:
        super().__init__()
        self._at = at

    def rows(self, snapshot: Snapshot) -> Sequence[Finding | Group]:
        return [*snapshot.findings, *groups_of(snapshot.rows, self.shell.state.now_ms())]

    def line(self, row: Finding | Group) -> Line:
        since = age(max(0.0, (self.shell.state.now_ms() - row.since_ms) / 1000)) if row.since_ms else ""
        if isinstance(row, Group):
            return Line(row.title, (row.title, "enter", f"≥{since}" * bool(since), row.message), "warn", "◐")
        tone, sign = _TONES[row.severity]
        place = place_of(row)
        key = "enter" if place == self.PLACE and row.code in _LISTED else self.shell.state.key_of(place)
        return Line(row.code, (title_of(row), key, since, row.message), tone, sign)

    def about(self, row: Finding | Group) -> str:
        if isinstance(row, Group):
            seen = "; since this screen has looked, or longer" if row.since_ms else ""
            return f"{row.message}{seen}; here enter lists them (luasprocs status does not)"
        return f"{row.message}; {row.hint}{self._pressed(row)}"

    def _pressed(self, row: Finding) -> str:
        """Its keys on this screen and on the one that `enter` opens."""
        found = [(self.shell.state.key_of(name), actions.of(name)) for name in _HELPS.get(row.code, ())]
        each = [f"{key} {_RESUMES.get(action.name, action.label)}" for key, action in found if key and action]
        first = ["enter"] if row.code in _LISTED else []
        return f"; here {', then '.join(first + each[:1])}{''.join(f', {one}' for one in each[1:])}" if each else ""

    @property
    def _sproc(self) -> str:
        """The first sproc that the selected row is about, or ""."""
        found, snapshot = self.selected, self.shell.state.snapshot
        if isinstance(found, Group) or (found is not None and found.code in _OF_SPROCS):
            return found.names[0]
        if found is not None and found.code is FindingCode.DEAD_JOBS and snapshot:
            return next((row.name for row in snapshot.rows if row.dead), "")
        return ""

    def _acknowledgeable(self) -> FindingCode | None:
        found, snapshot = self.selected, self.shell.state.snapshot
        if snapshot is None or not isinstance(found, Finding):
            return None
        return found.code if found.code in snapshot.to_acknowledge else None

    def show(self, found: Sequence[Finding | Group]) -> None:
        super().show(found)
        if self._at in self._shown:
            self.query_one(Table).go_to(self._shown.index(self._at))
            self._at = ""

    def say(self) -> None:
        """Keys that do nothing to the selected row are not offered."""
        super().say()
        if self.is_mounted:
            useless = {
                "acknowledge": self._acknowledgeable() is None,
                "ribbon": self.selected is not None and not self._sproc,
            }
            self.query_one(KeyLine).relabel({name: "" for name, is_so in useless.items() if is_so})

    def action_acknowledge(self) -> None:
        """Takes note of what is selected alone."""
        if (code := self._acknowledgeable()) is not None:
            self.controller.acknowledge({code})
        elif self.selected is None:
            super().action_acknowledge()
        else:
            self.shell.toast(f"{self._named} can't be acknowledged: only gaps and missed times can", bad=True)

    def action_ribbon(self) -> None:
        """Opens the day of the sproc that the row is about; without a row that of all."""
        if (name := self._sproc) or self.selected is None:
            self.post_message(messages.OpenRibbon(name))
        else:
            self.shell.toast(f"{self._named} is about no sproc: in the list this key shows all of them", bad=True)

    @property
    def _named(self) -> str:
        found = self.selected
        return found.title if isinstance(found, Group) else title_of(found) if found else ""

    @on(messages.RowOpened)
    async def _opened(self) -> None:
        found = self.selected
        if found is None:
            return
        if isinstance(found, Group):
            self.post_message(messages.OpenList(found.wanted, found.title))
        elif found.code in _LISTED:
            self.post_message(messages.OpenList(_LISTED[found.code], found.code))
        elif (action := actions.of(place_of(found))) and action.name != self.PLACE:
            await self.run_action(action.target)
