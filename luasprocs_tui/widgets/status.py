"""The header: what is wrong, what is live, how it goes, and how far that can be believed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from luasprocs_tui.values.columns import fitting
from luasprocs_tui.values.header import badge_of, facts_of, note_of, pulse_of, shards_of
from luasprocs_tui.values.outage_card import Watch, text_of
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.snapshots import PULSES, State
from luasprocs_tui.widgets.drawing import draw

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

BESIDE_BADGE, BESIDE_BADGE_NARROW, BESIDE_BARS = 46, 40, 84
"""Cells that others need in the badge's line, on a screen below NARROW columns too, and in that of the bars."""
NARROW = 100


class Status(Widget):
    """Shows a state; its screen gives it the next one, and once a second the same, which has become older."""

    def __init__(self) -> None:
        super().__init__()
        self._state = State("")
        self._watch = Watch()

    def compose(self) -> ComposeResult:
        """A line of facts with a badge and the context, a line of the pulse, one of a cluster's shards, and a note."""
        with Horizontal(id="first"):
            yield Static(id="badge")
            yield Static(id="context")
            yield Static(id="facts")
        yield Static(id="pulse")
        yield Static(id="shards")
        yield Static(id="note")
        yield Static(id="card")

    def on_mount(self) -> None:
        """What it was given before; then ages go on."""
        self.set_interval(1, self._draw)
        self._draw()

    def on_resize(self) -> None:
        """More room for bars, or less."""
        self.show(self._state)

    def close_card(self) -> bool:
        """Takes what is said of an outage away. Whether there was anything."""
        closed = self._watch.close()
        self._draw()
        return closed

    def show(self, state: State) -> None:
        self._state = state
        if self.is_mounted:
            self._draw()

    def on_click(self, event: events.Click) -> None:
        """Presses the key that leads to what stands there."""
        if key := event.style.meta.get("press"):
            self.app.simulate_key(key)

    def _draw(self) -> None:
        state, width = self._state, self.size.width
        badge = badge_of(
            state, time.monotonic(), max(30, width - (BESIDE_BADGE_NARROW if width < NARROW else BESIDE_BADGE))
        )
        title = Text(f" {badge.text} ", no_wrap=True)
        title.apply_meta({"press": badge.press})
        draw(self, "#badge", title, sized=True).set_classes(badge.tone)
        words = (
            clean(state.context, 40),
            "PRODUCTION" if state.production else "",
            "read-only" if state.read_only else "",
        )
        name = " ".join(word for word in words if word)
        context = draw(self, "#context", Text(f" {name} ", no_wrap=True), sized=True)
        context.display = bool(name)
        context.set_class(state.production, "production")
        room = width - title.cell_len - (len(f" {name} ") if name else 0) - 2
        draw(self, "#facts", Text(fitting(facts_of(state), room), no_wrap=True, overflow="ellipsis"))
        bars = max(4, min(PULSES, width - BESIDE_BARS))
        pulse = draw(self, "#pulse", pulse_of(state, bars, width - 2))
        pulse.display = bool(pulse.content)
        shards = draw(self, "#shards", shards_of(state))
        shards.display = bool(shards.content)
        found = self._watch.look(state, state.now_ms())
        said = Text(clean(text_of(found, state.snapshot), 400) if found and state.snapshot else "")
        draw(self, "#card", said, sized=True).display = bool(said)
        note = clean(note_of(state, max(20, width - 2)), 400)
        draw(self, "#note", Text(note, overflow="ellipsis"), sized=True).display = bool(note)
