"""Records as the lines of a table, and what is said of one below it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from luasprocs_tui.values.columns import CELL_CHARACTERS, Column, Line, fitting
from luasprocs_tui.values.error_lines import without_name
from luasprocs_tui.values.numbers import ID_SHOWN
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import clock, whole

if TYPE_CHECKING:
    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.alike import Alike

COLUMNS = (
    Column("TIME (UTC)", 12, 12),
    Column("SPROC", 10, 40),
    Column("TRIGGER", 7, 20, rank=3),
    Column("STATUS", 7, 7),
    Column("MS", 5, 11, right=True, rank=2),
    Column("KEY", 6, 40, rank=1),
    Column("RESULT", 18, 400, grow=True),
)
NONE = "none recorded yet: runs by event, schedule, job and execute are recorded, plain calls are not"
MEASURED = 30
_TONES = {"skipped": "off", "missed": "off"}


def line_of(one: Execution, count: int = 1) -> Line:
    """A record as the table takes it; `count`: how many there are that say the same."""
    trigger = f"{one.trigger} {one.event}".strip()
    said = f"{count}x  " * (count > 1) + without_name(one.sproc, one.said)
    cells = (clock(one.time_ms), one.sproc, trigger, one.status, one.duration_ms_text, one.key, said)
    tone = "bad" if one.failed else _TONES.get(one.status, "ok")
    return Line(one.id, tuple(cell[:CELL_CHARACTERS] for cell in cells), tone)


def facts_of(one: Execution, room: int, counted: str = "") -> str:
    """As many as have room, which are not cut."""
    parts = [
        f"{counted} {whole(one.time_ms)}".strip(),
        f"origin {one.origin}" if one.origin.strip("-") else "",
        f"depth {one.depth}" if one.depth > 1 else "",
        f"commit {one.commit[:ID_SHOWN]}" if one.commit else "",
        f"daemon {one.daemon}" if one.daemon else "",
    ]
    return fitting("  ".join(clean(part, CELL_CHARACTERS) for part in parts if part), room)


def counted_of(alike: Alike, *, older: bool = False) -> str:
    """How many say the same, and since when. `older`: there were records before those that were read."""
    since = f"since {clock(alike.since_ms)}{' or longer' if older else ''}"
    return f"{alike.runs} runs {since}, the last" if alike.runs > 1 else ""


def said_of(one: Execution, room: int, counted: str = "") -> Text:
    """Its error or reply, and its facts where that leaves room. `counted`: what stands before them."""
    facts = facts_of(one, room, counted)
    replied = ("reply  ", "dim") if one.reply and not one.error else ""
    return Text.assemble(replied, clean(one.said), "\n" if one.said else "", (facts, "dim"))
