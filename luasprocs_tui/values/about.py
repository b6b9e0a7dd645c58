"""What the panels beside the list say of one sproc. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from luasprocs.language.metadata import says_yes
from luasprocs.server.readable_errors import readable_error
from luasprocs.state.stats import Stats
from luasprocs_tui.values.error_lines import without_name
from luasprocs_tui.values.freshness import READING
from luasprocs_tui.values.numbers import ID_SHOWN, short_number, short_rate, short_us, spark
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import clock, passed_since
from luasprocs_tui.values.trouble import SIGNS, TONES, Trouble, beneath, said_of, trouble_of

if TYPE_CHECKING:
    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.history import Generation
    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.rows import Rates, Row

RUNS_SHOWN = 10
NAMED = 10
"""Cells of what stands before a value."""


class About(NamedTuple):
    """What was read of a sproc. `sproc`: None if it is gone; `made`: the generation that changed it last, if that is known.

    `runs`: its last ones, the newest first, of `looked_at` records; `searching`: older ones are being looked at.
    """

    name: str
    sproc: Sproc | None = None
    stats: Stats = Stats()
    runs: tuple[Execution, ...] = ()
    made: Generation | None = None
    looked_at: int = 0
    searching: bool = False


def header_of(row: Row, about: About | None, now_ms: float, width: int) -> Text:
    """Who it is: description, owner, trigger, since when it is as it is; in lines of `width` cells."""
    fields = about.sproc.values if about and about.sproc else {}
    lines = []
    trouble = trouble_of(row, now_ms)
    paused = row.state == "paused"
    said = said_of(row, now_ms) or ("" if trouble in _ELSEWHERE else beneath(row, now_ms))
    if said:
        sign = SIGNS.get(Trouble.PAUSED if paused else trouble, "")
        lines.append(Text(clean(f"{sign} {said}".strip(), 300), "bold red" if sign in _BAD else "bold yellow"))
    if about and (made := about.made):
        by = made.author.partition(" <")[0] or made.applied_by
        passed = passed_since(made.applied_at, now_ms)
        ago = f", {passed} ago" if passed else ""
        lines.append(_pair("since", f"gen {made.generation}{ago}, by {by}: {made.subject}".rstrip(": "), width))
    elif about and about.sproc:
        lines.append(_pair("commit", about.sproc.commit[:ID_SHOWN], width))
    owner = fields.get("owner", "")
    beside = f"{row.trigger}  owner {owner}" if owner else row.trigger
    if len(beside) + NAMED <= width:
        lines.append(_pair("runs on", beside, width))
    else:
        lines += [_pair("runs on", row.trigger, width), _pair("owner", owner, width)]
    lines.append(_pair("what", row.description or "no description", width))
    return Text("\n").join(lines)


_ELSEWHERE = {Trouble.FAILING, Trouble.ERRING}
"""Their error stands with the runs."""
_BAD = {sign for trouble, sign in SIGNS.items() if TONES[trouble] == "bad"}
BARS_ROOM = 16
"""Cells that name and number of a line of bars take."""


def runs_of(row: Row, about: About | None, rates: Rates, width: int) -> Text:
    """How it goes: rates as bars, how long it takes, the last error, the last runs, a line of `width` cells each."""
    counted, bars = row.counters, max(10, width - BARS_ROOM)
    lines = [
        Text.assemble(("runs/s    ", "dim"), (spark(rates.runs[-bars:]), "cyan"), f" {short_rate(counted.per_s)}"),
        Text.assemble(
            ("errors/s  ", "dim"),
            (spark(rates.errors[-bars:]), "red" if any(rates.errors[-bars:]) else "dim"),
            f" {short_rate(counted.errors_per_s)}",
        ),
    ]
    if about is None:
        return Text("\n").join([*lines, Text(READING, "dim")])
    stats = about.stats
    took = f"p50 {short_us(stats.p50_us)}  p99 {short_us(stats.p99_us)}  "
    counts = (
        f"{short_number(stats.runs)} runs  {short_number(stats.all_errors)} errors  {short_number(stats.calls)} calls"
    )
    lines.append(Text.assemble(("took      ", "dim"), took))
    if len(took) + len(counts) + 10 > width:
        lines.append(Text("          "))
    lines[-1].append(counts)
    if stats.last_error:
        lines.append(_pair("error", readable_error(stats.last_error), width, "red"))
    lines.append(Text())
    lines += [_run(one, width) for one in about.runs] or [Text(_no_runs(about), "dim")]
    return Text("\n").join(lines)


def _no_runs(about: About) -> str:
    if about.sproc and says_yes(about.sproc.values, "library"):
        return "a library: others require it, and it does not run by itself"
    if not about.stats.runs:
        return "only called so far: calls are not recorded" if about.stats.calls else "never run yet: R runs it now"
    if about.searching:
        return f"none of the newest {about.looked_at} records is of it; looking further back …"
    kept = about.sproc.values.get("record", "") if about.sproc else ""
    why = f", of which record={kept} keeps few" if kept else ""
    return f"none of the newest {about.looked_at} records is of its runs{why}: x follows those to come"


def _run(one: Execution, width: int) -> Text:
    said = without_name(one.sproc, one.said)
    text = Text.assemble(
        (f"{clock(one.time_ms)[:8]}  ", "dim"),
        (f"{one.status:<8}", "bold red" if one.failed else ""),
        f"{short_us(one.duration_us):>6}  ",
        clean(one.key, 24),
        ("  " if one.key else "") + clean(said, 200),
    )
    text.truncate(width, overflow="ellipsis")
    return text


def _pair(name: str, value: str, width: int, style: str = "") -> Text:
    """What has no room in a line goes on below its beginning."""
    lines = wrap(clean(value, 300), max(10, width - NAMED)) or [""]
    return Text.assemble((f"{name:<{NAMED}}", "dim"), (f"\n{'':{NAMED}}".join(lines), style))
