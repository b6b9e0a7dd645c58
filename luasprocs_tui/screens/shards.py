"""The shards of a cluster, and how each differs from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from luasprocs.operations.snapshot import ShardFacts
from luasprocs_tui import actions
from luasprocs_tui.screens.of_state import StateTable
from luasprocs_tui.values.columns import Column, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.values.snapshots import Snapshot


class ShardsScreen(StateTable[ShardFacts]):
    """By their slots; those with which something is wrong first."""

    PLACE = "shards"
    heading = "Shards"
    OPENS = False
    NONE = "this is no cluster"
    WRAPS = GROWS = True
    UNSORTED = "those with a problem first"
    COLUMNS = (
        Column("PRIMARY", 15, 40),
        Column("TAG", 5, 20),
        Column("SLOTS", 5, 6, right=True),
        Column("GEN", 4, 8, right=True),
        Column("STATE", 12, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("shards")]

    def rows(self, snapshot: Snapshot) -> Sequence[ShardFacts]:
        return sorted(snapshot.shards, key=lambda one: not (one.away or one.problem))

    def line(self, row: ShardFacts) -> Line:
        slots = sum(last - first + 1 for first, last in row.slots)
        tone, sign = ("bad", "●") if row.away else ("warn", "◐") if row.problem else ("ok", " ")
        cells = (row.address, row.tag, str(slots), str(row.generation or ""), row.problem or "as the others")
        return Line(row.tag, cells, tone, sign)

    def about(self, row: ShardFacts) -> str:
        ranges = ", ".join(f"{first}-{last}" for first, last in row.slots)
        return "; ".join(filter(None, (row.problem, f"slots {ranges}" if ranges else "no slots")))
