"""What one sproc does: runs and errors a second as they go, and how long it takes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text

from luasprocs.server.readable_errors import readable_error
from luasprocs.state.stats import Stats
from luasprocs_tui import actions
from luasprocs_tui.screens.data import TextScreen
from luasprocs_tui.values.numbers import short_number, short_rate, short_us, spark
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import stamp

if TYPE_CHECKING:
    from textual.binding import BindingType

    from luasprocs_tui.backend.protocol import Backend

SECONDS_KEPT = 240
BARS = 60
"""Cells of a line of bars at least."""
BESIDE_BARS = 20
"""Cells that name and number take beside it."""
BAR_CELLS = 40


class StatsScreen(TextScreen):
    """Counted since the sproc was first run; the lines of bars begin when the screen opens."""

    PLACE = "stats"
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("stats")]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._sproc = name
        self._before: Stats | None = None
        self._runs: deque[float] = deque(maxlen=SECONDS_KEPT)
        self._errors: deque[float] = deque(maxlen=SECONDS_KEPT)

    @property
    def heading(self) -> str:
        return f"Stats of {self._sproc}"

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self._sproc,)

    def read(self, backend: Backend) -> Text:
        """In the worker thread: now, and against the time before."""
        now = backend.stats(self._sproc)
        if self._before is not None:
            done = now.runs + now.calls - self._before.runs - self._before.calls
            self._runs.append(max(0, done) / self.EVERY_S)
            self._errors.append(max(0, now.all_errors - self._before.all_errors) / self.EVERY_S)
        self._before = now
        return drawn(now, tuple(self._runs), tuple(self._errors), self.size.width - BESIDE_BARS)


def drawn(stats: Stats, runs: tuple[float, ...], errors: tuple[float, ...], bars: int = BARS) -> Text:
    """All of it as text: counts, lines of `bars` cells, a histogram."""
    bars = max(BARS, min(bars, SECONDS_KEPT))
    mean_us = stats.duration_us_total // stats.runs if stats.runs else None
    last = stamp(stats.last_run_s * 1000, zone=True) if stats.last_run_s else "never"
    shown = Text.assemble(
        _pair("calls", short_number(stats.calls)),
        _pair("runs", short_number(stats.runs)),
        _pair("errors", short_number(stats.all_errors), "bold red" if stats.all_errors else ""),
        _pair("skipped", short_number(stats.skipped)),
        "\n",
        _pair("last run", last),
        "\n\n",
        ("runs/s    ", "dim"),
        (spark(runs, bars), "cyan"),
        f" {short_rate(runs[-1] if runs else None)}\n",
        ("errors/s  ", "dim"),
        (spark(errors, bars), "red"),
        f" {short_rate(errors[-1] if errors else None)}\n\n",
        _pair("p50", short_us(stats.p50_us)),
        _pair("p99", short_us(stats.p99_us)),
        _pair("mean", short_us(mean_us)),
        _pair("longest", short_us(stats.duration_us_max if stats.runs else None)),
        "\n\n",
    )
    shown.append(histogram(stats, bars * BAR_CELLS // BARS))
    if stats.last_error:
        shown.append_text(
            Text.assemble("\n\n", ("last error  ", "dim"), (clean(readable_error(stats.last_error)), "red"))
        )
    return shown


def _pair(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, style), "   ")


def histogram(stats: Stats, cells: int = BAR_CELLS) -> Text:
    """A line for each bucket from the first to the last that has runs, of `cells` at most."""
    most = max((runs for _, runs in stats.buckets), default=0)
    lines = [
        Text.assemble(
            (f"{'longer' if bound is None else f'≤ {short_us(bound)}':>9} ", "dim"),
            ("█" * max(1, round(runs / most * cells)), "cyan"),
            f" {short_number(runs)}",
        )
        for bound, runs in stats.buckets
    ]
    return Text("\n").join(lines) if lines else Text("no run was recorded yet", "dim")
