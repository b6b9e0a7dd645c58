"""The header: which server, what is live there, and how far that can be believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from luasprocs_tui.safe import clean

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from luasprocs_tui.feed import State

STALE_AFTER_S = 6.0
COMMIT_SHOWN = 8


def badge_of(state: State, now_s: float) -> tuple[str, str]:
    """The badge's text, and its tone: good, bad, or wait."""
    snapshot = state.snapshot
    if snapshot is None:
        return ("no connection", "bad") if state.error else ("connecting", "wait")
    age_s = now_s - snapshot.read_at_s
    if state.error or age_s > STALE_AFTER_S:
        return f"{'connection lost' if state.error else 'no answer'}, data {age(age_s)} old", "bad"
    if snapshot.empty:
        return "empty", "wait"
    if snapshot.drift:
        return f"drift {len(snapshot.drift)}", "bad"
    return ("problem", "bad") if snapshot.problems else ("in sync", "good")


def age(seconds: float) -> str:
    """A duration as people say it: `12s`, `3m`, `2h`."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def facts_of(state: State) -> str:
    """Server, commit, branch, generation and count, in one line."""
    parts = [state.server]
    if state.snapshot and not state.snapshot.empty:
        revision, rows = state.snapshot.revision, state.snapshot.rows
        parts += [
            f"{revision.branch} {revision.commit[:COMMIT_SHOWN]}".strip(),
            f"generation {revision.generation}",
        ]
        parts += ["pinned by a rollback"] if revision.pinned else []
        parts.append(f"{len(rows)} sproc{'' if len(rows) == 1 else 's'}")
    return "  ".join(clean(part) for part in parts if part)


def note_of(state: State) -> str:
    """The line below: what is wrong, or what to do first; often none."""
    if state.error:
        return state.error
    if state.snapshot is None:
        return ""
    if state.snapshot.empty:
        return "No sprocs here yet. In a git repository of sprocs, run: luasprocs sync"
    return "; ".join(state.snapshot.problems)


class Status(Widget):
    """Follows the app's `state`; once a second it says again how old the data is."""

    def compose(self) -> ComposeResult:
        """A line of facts with a badge, and a note."""
        yield Static(id="badge")
        yield Static(id="facts")
        yield Static(id="note")

    def on_mount(self) -> None:
        """Starts to follow."""
        self.watch(self.app, "state", self.show)
        self.set_interval(1, lambda: self.show(self.app.state))  # type: ignore[attr-defined]  # the app that has this header

    def show(self, state: State) -> None:
        """Draws a state."""
        text, tone = badge_of(state, time.monotonic())
        badge = self.query_one("#badge", Static)
        badge.update(Text(f" {text} ", no_wrap=True))
        badge.set_classes(tone)
        self.query_one("#facts", Static).update(Text(facts_of(state), no_wrap=True, overflow="ellipsis"))
        note = self.query_one("#note", Static)
        said = clean(note_of(state), 400)
        note.update(Text(said, overflow="ellipsis"))
        note.display = bool(said)
