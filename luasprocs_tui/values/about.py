"""What the panels beside the list say of one sproc. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from luasprocs.server.readable_errors import readable_error
from luasprocs.state.stats import Stats
from luasprocs_tui.values.numbers import ID_SHOWN, short_number, short_rate, short_us, spark
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import clock, restamped
from luasprocs_tui.values.trouble import SIGNS, beneath, said_of, trouble_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.history import Generation
    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.rows import Rates, Row

RUNS_SHOWN = 10
LOOKED_AT = 300
"""So many of the newest records of all sprocs are searched for those of one."""


class About(NamedTuple):
    """What was read of a sproc. `sproc`: None if it is gone; `made`: the generation that changed it last, if that is known.

    `runs`: its last ones, the newest first.
    """

    name: str
    sproc: Sproc | None = None
    stats: Stats = Stats()
    runs: tuple[Execution, ...] = ()
    made: Generation | None = None


def header_of(row: Row, about: About | None, now_ms: float) -> Text:
    """Who it is: description, owner, trigger, since when it is as it is."""
    fields = about.sproc.values if about and about.sproc else {}
    lines = [_pair("what", row.description or "no description"), _pair("runs on", row.trigger)]
    if owner := fields.get("owner", ""):
        lines.append(_pair("owner", owner))
    if about and (made := about.made):
        by = made.author.partition(" <")[0]
        lines.append(_pair("since", f"gen {made.generation}, {restamped(made.applied_at)}, by {by}: {made.subject}"))
    elif about and about.sproc:
        lines.append(_pair("commit", about.sproc.commit[:ID_SHOWN]))
    if said := said_of(row, now_ms) or beneath(row, now_ms):
        sign = SIGNS.get(trouble_of(row, now_ms), "")
        lines.append(Text.assemble((clean(f"{sign} {said}".strip()), "bold yellow")))
    return Text("\n").join(lines)


def runs_of(row: Row, about: About | None, rates: Rates, bars: int) -> Text:
    """How it goes: rates as bars, how long it takes, the last error, the last runs."""
    counted = row.counters
    lines = [
        Text.assemble(("runs/s    ", "dim"), (spark(rates.runs[-bars:]), "cyan"), f" {short_rate(counted.per_s)}"),
        Text.assemble(
            ("errors/s  ", "dim"), (spark(rates.errors[-bars:]), "red"), f" {short_rate(counted.errors_per_s)}"
        ),
    ]
    if about is None:
        return Text("\n").join([*lines, Text("reading …", "dim")])
    stats = about.stats
    took = f"p50 {short_us(stats.p50_us)}  p99 {short_us(stats.p99_us)}  "
    counts = (
        f"{short_number(stats.runs)} runs  {short_number(stats.all_errors)} errors  {short_number(stats.calls)} calls"
    )
    lines.append(Text.assemble(("took      ", "dim"), took, counts))
    if stats.last_error:
        lines.append(Text.assemble(("error     ", "dim"), (clean(readable_error(stats.last_error), 300), "red")))
    lines.append(Text())
    lines += _last(about.runs, stats)
    return Text("\n").join(lines)


def _last(runs: Sequence[Execution], stats: Stats) -> list[Text]:
    if not runs and not stats.runs:
        return [Text("never run yet: R runs it now", "dim")]
    if not runs:
        return [Text(f"none of the last {LOOKED_AT} runs is its own: x follows those to come", "dim")]
    return [
        Text.assemble(
            (f"{clock(one.time_ms)[:8]}  ", "dim"),
            (f"{one.status:<8}", "bold red" if one.failed else ""),
            f"{short_us(one.duration_us):>6}  ",
            clean(one.key, 24),
            ("  " if one.key else "") + clean(one.said, 200),
        )
        for one in runs
    ]


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name:<9} ", "dim"), clean(value, 300))
