"""The header: which server, what is live there, and how far that can be believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from luasprocs_tui.values.numbers import ID_SHOWN, short_number, short_rate, spark
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.snapshots import PULSES, State
from luasprocs_tui.widgets.drawing import draw

if TYPE_CHECKING:
    from textual.app import ComposeResult

LAG_SHOWN = 1000
"""Events waiting that are worth a colour."""


def badge_of(state: State, now_s: float) -> tuple[str, str]:
    """The badge's text, and its tone: good, bad, or wait."""
    snapshot = state.snapshot
    stale = state.freshness.badge(now_s)
    if stale is not None or snapshot is None:
        return stale or ("connecting", "wait")
    if not snapshot.findings:
        return "in sync", "good"
    worst = snapshot.findings[0]
    count = f" {len(worst.names)}" if worst.names else ""
    said = "empty" if snapshot.empty else worst.code.replace("_", " ") + count
    return said, "bad" if worst.severity == "error" else "wait"


def facts_of(state: State) -> str:
    """Server, commit, branch, generation and count, in one line."""
    parts = [state.server]
    if state.snapshot and not state.snapshot.empty:
        revision, rows = state.snapshot.revision, state.snapshot.rows
        parts += [
            f"{revision.branch} {revision.commit[:ID_SHOWN]}".strip(),
            f"generation {revision.generation}",
        ]
        parts.append(f"{len(rows)} sproc{'' if len(rows) == 1 else 's'}")
    return "  ".join(clean(part) for part in parts if part)


def note_of(state: State) -> str:
    """The line below: what is wrong, or what to do first; often none."""
    if state.error:
        return state.error
    if state.snapshot is None:
        return ""
    if not state.snapshot.findings:
        return ""
    worst, *others = state.snapshot.findings
    return "; ".join((worst.message, worst.hint, *(f"{one.code.replace('_', ' ')}: {one.message}" for one in others)))


def shards_of(state: State) -> Text:
    """The shards of a cluster: where each is, and its generation; those with which something is wrong come first."""
    shards = sorted(state.snapshot.shards if state.snapshot else (), key=lambda one: not (one.away or one.problem))
    each = [
        (
            f"{clean(one.address or one.tag)} {'away' if one.away else f'generation {one.generation}'}  ",
            "bold red" if one.away else "bold yellow" if one.problem else "",
        )
        for one in shards
    ]
    return Text.assemble("shards  ", *each, no_wrap=True, overflow="ellipsis") if each else Text()


def pulse_of(state: State, bars: int) -> Text:
    """How all of it goes: daemons, events a second as `bars` bars, runs, lag, gaps."""
    pulse = state.snapshot.pulse if state.snapshot else None
    if pulse is None or state.snapshot is None or state.snapshot.empty:
        return Text()
    last = pulse.per_s[-1] if pulse.per_s and pulse.daemons else None
    lag = pulse.lag if pulse.daemons else None  # only daemons know it
    return Text.assemble(
        (f"{pulse.daemons} daemon{'' if pulse.daemons == 1 else 's'}", "" if pulse.daemons else "bold yellow"),
        f"  events {short_rate(last)}/s ",
        (spark(pulse.per_s, bars), "cyan"),
        f"  runs {short_rate(pulse.runs_per_s)}/s",
        (f"  lag {short_number(lag)}", "bold yellow" if pulse.lag >= LAG_SHOWN else ""),
        (f"  gaps {short_number(pulse.gaps)}", "bold red" if pulse.gaps else ""),
        no_wrap=True,
        overflow="ellipsis",
    )


class Status(Widget):
    """Shows a state; its screen gives it the next one, and once a second the same, which has become older."""

    def __init__(self) -> None:
        super().__init__()
        self._state = State("")

    def compose(self) -> ComposeResult:
        """A line of facts with a badge and the context, a line of the pulse, one of a cluster's shards, and a note."""
        with Horizontal(id="first"):
            yield Static(id="badge")
            yield Static(id="context")
            yield Static(id="facts")
        yield Static(id="pulse")
        yield Static(id="shards")
        yield Static(id="note")

    def on_mount(self) -> None:
        """What it was given before; then ages go on."""
        self.set_interval(1, self._draw)
        self._draw()

    def on_resize(self) -> None:
        """More room for bars, or less."""
        self.show(self._state)

    def show(self, state: State) -> None:
        self._state = state
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        state = self._state
        text, tone = badge_of(state, time.monotonic())
        draw(self, "#badge", Text(f" {text} ", no_wrap=True), sized=True).set_classes(tone)
        words = (
            clean(state.context, 40),
            "PRODUCTION" if state.production else "",
            "read-only" if state.read_only else "",
        )
        name = " ".join(word for word in words if word)
        context = draw(self, "#context", Text(f" {name} ", no_wrap=True), sized=True)
        context.display = bool(name)
        context.set_class(state.production, "production")
        draw(self, "#facts", Text(facts_of(state), no_wrap=True, overflow="ellipsis"))
        pulse = draw(self, "#pulse", pulse_of(state, max(8, min(PULSES, self.size.width - 60))))
        pulse.display = bool(pulse.content)
        shards = draw(self, "#shards", shards_of(state))
        shards.display = bool(shards.content)
        said = clean(note_of(state), 400)
        draw(self, "#note", Text(said, overflow="ellipsis"), sized=True).display = bool(said)
