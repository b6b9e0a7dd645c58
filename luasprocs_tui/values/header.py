"""What the header says: what is wrong, what is live, how it goes, and what to press. Pure."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.style import Style
from rich.text import Text

from luasprocs.contract.codes import FindingCode
from luasprocs_tui.values.numbers import ID_SHOWN, short_number, short_rate, spark
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import passed_since
from luasprocs_tui.values.trouble import groups_of, is_slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.operations.findings import Finding
    from luasprocs_tui.values.snapshots import Snapshot, State

LAG_SHOWN = 1000
"""Events waiting that are worth a colour."""
NOTE_LINES = 2
"""As many as `app.tcss` gives the note."""
PLACES: dict[FindingCode, str] = {
    FindingCode.UNREACHABLE: "refresh_now",
    FindingCode.REFUSED: "wanted",
    FindingCode.DIVERGED: "wanted",
    FindingCode.UNKNOWN: "wanted",
    FindingCode.BEHIND: "wanted",
    FindingCode.DEGRADED: "wanted",
    FindingCode.ENGINE_DIFFERS: "sync",
    FindingCode.DRIFT: "sync",
    FindingCode.PINNED: "sync",
    FindingCode.NO_DAEMON: "daemons",
    FindingCode.DAEMON_SILENT: "daemons",
    FindingCode.FAILING: "failures",
    FindingCode.DEAD_JOBS: "jobs",
    FindingCode.GAP: "outages",
    FindingCode.MISSED: "outages",
    FindingCode.SHARD_DIFFERS: "shards",
    FindingCode.SUSPENDED: "suspend",
}
"""The action that leads to what a finding is about, or mends it; the list of findings for all others."""
_NAMED = frozenset({FindingCode.FAILING, FindingCode.DAEMON_SILENT, FindingCode.UNSAVED_EDIT, FindingCode.PAUSED})
"""Of these the names say more than the sentence."""


class Badge(NamedTuple):
    """`tone`: good, bad or wait; `press`: the key that leads there, or ""."""

    text: str
    tone: str
    press: str = ""


def place_of(finding: Finding) -> str:
    """The action that leads to what it is about."""
    return PLACES.get(finding.code, "findings")


def title_of(finding: Finding) -> str:
    """Its code as people read it: `NO DAEMON`."""
    return finding.code.replace("_", " ").upper()


def badge_of(state: State, now_s: float, room: int) -> Badge:
    """The worst there is, by name and place, with the key that leads there, in `room` cells."""
    snapshot = state.snapshot
    stale = state.freshness.badge(now_s)
    if stale is not None or snapshot is None:
        return Badge(*(stale or ("connecting", "wait")))
    if snapshot.empty:
        return Badge("EMPTY", "wait")
    if not snapshot.findings:
        return Badge("in sync", "good")
    worst = snapshot.findings[0]
    press = state.key_of(place_of(worst))
    title, end = title_of(worst), f" ({press})" if press else ""
    what = _cut(_what(worst), max(0, room - len(title) - len(end) - 1))
    said = f"{title} {what}{end}" if len(what) > 3 else f"{title}{end}"
    return Badge(said, "bad" if worst.severity == "error" else "wait", press)


def _cut(what: str, room: int) -> str:
    """As much as fits; of a place that is too long the end, which has file and line."""
    place = _PLACE.match(what)
    if place is None or len(place[0]) <= room or room < _LEAST_PLACE:
        return clean(what, room)
    return f"…{clean(place[0], len(place[0]))[1 - room :]}"


_PLACE = re.compile(r"\S+?:\d+(?::\d+)?(?=: )")
_LEAST_PLACE = 8


def _what(finding: Finding) -> str:
    """What it is about, as short as can be."""
    if finding.code is FindingCode.NO_DAEMON:
        return finding.message.partition(", so ")[2] or finding.message.removeprefix("no daemon ")
    if finding.code is FindingCode.UNREACHABLE:
        return finding.message.replace(", so what would run waits", "").removeprefix("the server ")
    if finding.code in _NAMED and finding.names:
        more = f" +{len(finding.names) - 1}" if len(finding.names) > 1 else ""
        return f"{finding.names[0]}{more}"
    return finding.message


def facts_of(state: State) -> str:
    """Branch, commit, generation and its age; the server where no context has a name."""
    parts = [] if state.context else [_short(state.server)]
    if state.snapshot and not state.snapshot.empty:
        revision = state.snapshot.revision
        parts.append(f"{revision.branch} {revision.commit[:ID_SHOWN]}".strip())
        parts.append(f"gen {revision.generation}")
        if passed := passed_since(revision.applied_at, state.now_ms()):
            parts.append(passed)
    return "  ".join(clean(part) for part in parts if part)


def _short(server: str) -> str:
    """A URL as one knows it again: without what is the same for most; of several nodes the first."""
    first, *others = server.removeprefix("redis://").removeprefix("redis+cluster://").removesuffix("/0").split(",")
    return f"{first} +{len(others)}" if others else first


def note_of(state: State, width: int) -> str:
    """The line below: what to do about the worst, and what else the list of findings has, each with its key, in
    NOTE_LINES of `width` cells; often none.
    """
    if state.error:
        return state.error
    if state.snapshot is None or not state.snapshot.findings:
        return ""
    worst, *others = state.snapshot.findings
    if state.snapshot.empty:
        return f"{worst.message}; {worst.hint}"
    each = [f"{title_of(one)} ({state.key_of(place_of(one))})" for one in others]
    each += [f"{one.title} ({state.key_of('findings')})" for one in groups_of(state.snapshot.rows, state.now_ms())]
    said = f"{worst.hint};  also {', '.join(each)}" if each else worst.hint
    shown = len(each)
    while shown and len(wrap(said, width)) > NOTE_LINES:
        shown -= 1
        more = f"{len(each) - shown} more ({state.key_of('findings')})"
        said = f"{worst.hint};  also {', '.join([*each[:shown], more])}"
    return said


def pulse_of(state: State, bars: int, room: int) -> Text:
    """How all of it goes, and what needs a look; a click on a part presses the key that leads there.

    `bars`: how many of them at most. What isn't wrong goes first where `room` cells don't hold all.
    """
    snapshot = state.snapshot
    pulse = snapshot.pulse if snapshot else None
    if pulse is None or snapshot is None or snapshot.empty:
        return Text()
    last = pulse.per_s[-1] if pulse.per_s and pulse.daemons else None
    errors = pulse.errors_per_s[-1] if pulse.errors_per_s else None
    counts = snapshot.counts

    def part(said: str, action: str, style: str = "") -> tuple[str, Style]:
        return said, Style.parse(style) + Style(meta={"press": state.key_of(action)})

    daemons = f"{pulse.daemons} daemon{'' if pulse.daemons == 1 else 's'}"
    parts = {
        "daemons": part(daemons, "daemons", "" if pulse.daemons else "bold yellow"),
        "silent": part(f"  {counts.silent} silent{_silent(snapshot, room)}", "daemons", "bold red")
        if counts.silent
        else None,
        "events": part(f"  ev {short_rate(last)}/s", "executions"),
        "runs": part(f"  runs {short_rate(pulse.runs_per_s)}/s", "executions"),
        "errors": part(f"  ERR {short_rate(errors)}/s", "failures", "bold red" if errors else ""),
        "bars": part(f" {spark(pulse.errors_per_s[-bars:])}", "failures", "red" if errors else "dim"),
    }
    for at, (said, action, style) in enumerate(_counted(snapshot, state.now_ms())):
        parts["lag" if said.startswith("  lag") and not style else str(at)] = part(said, action, style)
    for extra in ("bars", "runs", "events", "lag"):
        if sum(len(one[0]) for one in parts.values() if one) > room:
            parts[extra] = None
    return Text.assemble(*_fitting([one for one in parts.values() if one], room), no_wrap=True, overflow="ellipsis")


def _silent(snapshot: Snapshot, room: int) -> str:
    """The first that is silent, by name, where `room` is wide."""
    running = snapshot.running
    silent = [one.id for one in running.daemons if not one.alive(running.now_ms)] if running else []
    return (
        f" ({clean(silent[0], 40)}{f' +{len(silent) - 1}' * (len(silent) > 1)})"
        if silent and room >= _NAMED_FROM
        else ""
    )


_NAMED_FROM = 110
"""Cells of a screen of 120, with room to spare."""


def _fitting(parts: list[tuple[str, Style]], room: int) -> list[tuple[str, Style]]:
    """The first of them; a sign says that others had no room."""
    whole = len(parts)
    while len(parts) > 1 and sum(len(said) for said, _ in parts) > room - 2 * (len(parts) < whole):
        parts = parts[:-1]
    return parts if len(parts) == whole else [*parts, (" …", Style())]


def _counted(snapshot: Snapshot, now_ms: float) -> Iterator[tuple[str, str, str]]:
    """What there is, each with the action that leads there, and its style."""
    counts, pulse = snapshot.counts, snapshot.pulse
    if failing := sum(row.counters.failing for row in snapshot.rows):
        yield f"  {failing} failing", "failures", "bold red"
    if slow := sum(is_slow(row, now_ms) for row in snapshot.rows):
        yield f"  {slow} slow", "sort", "yellow"
    if counts.paused:
        yield f"  {counts.paused} paused", "findings", "yellow"
    if pulse and pulse.daemons and pulse.lag:
        yield f"  lag {short_number(pulse.lag)}", "daemons", "bold yellow" if pulse.lag >= LAG_SHOWN else ""
    if counts.waiting:
        yield f"  {short_number(counts.waiting)} waiting", "jobs", ""
    if counts.dead:
        yield f"  {short_number(counts.dead)} dead", "jobs", "bold red"
    if counts.gaps:
        yield f"  {counts.gaps} gap{'' if counts.gaps == 1 else 's'}", "outages", "bold red"
    if counts.missed:
        yield f"  {counts.missed} missed", "outages", "yellow"
    if counts.edits:
        yield f"  {counts.edits} edit{'' if counts.edits == 1 else 's'}", "findings", "yellow"


def shards_of(state: State) -> Text:
    """The shards of a cluster: where each is, and its generation; those with which something is wrong come first."""
    shards = sorted(state.snapshot.shards if state.snapshot else (), key=lambda one: not (one.away or one.problem))
    each = [
        (
            f"{clean(one.address or one.tag)} {'away' if one.away else f'gen {one.generation}'}  ",
            "bold red" if one.away else "bold yellow" if one.problem else "",
        )
        for one in shards
    ]
    return Text.assemble("shards  ", *each, no_wrap=True, overflow="ellipsis") if each else Text()
