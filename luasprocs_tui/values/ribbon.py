"""A ribbon of time as text: runs and errors as bars, ticks where generations came, who made them beneath. Pure."""

from __future__ import annotations

from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from luasprocs.state.minutes import DAY, MINUTE_MS, ByMinute, Minute
from luasprocs_tui.values.numbers import BARS, age, short_number
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import clock, zone_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.operations.onset import Onset
    from luasprocs.registry.history import Generation

SPANS = (60, 180, 360, 720, DAY)
"""Minutes that a ribbon can show: one hour to a day."""
LABELS = 3, 15
"""Lines below the ticks: in little room, and at most."""
TALL = 10
"""Lines of bars at most, where the screen is high: one for each so many lines above what one line needs."""
_LOW, _PER_TALL, _REST = 20, 3, 9
HEAD = 7
"""Cells of what stands before a line of bars, if there is room."""
TICK, CHOSEN, FINE, NOTHING_RAN = "▲", "◆", "·", " "
RIGHT, LEFT = "└", "┘"
CAUSE = "!"
"""Behind the number of the generation that errors began with."""
_WIDE = 40


class Past(NamedTuple):
    """The day of one sproc, or (`name` is "") of all. `history`: the newest first.

    `onsets`: of which sprocs it is known with which generation their errors began.
    """

    name: str
    day: ByMinute
    history: Sequence[Generation] = ()
    onsets: tuple[tuple[str, Onset], ...] = ()

    def shown(self, minutes: int) -> list[Generation]:
        """Generations of the last so many minutes, the newest first.

        Of one sproc those that changed it, and that with which its errors began.
        """
        meant = {found.generation.generation for _, found in self.onsets}
        since_ms = (self.day.now - minutes + 1) * MINUTE_MS
        return [
            one
            for one in self.history
            if one.at_ms >= since_ms and (not self.name or self.name in one.touched or one.generation in meant)
        ]


class Scale(NamedTuple):
    """`cells` of a line stand for `minutes`, of which the last is `now`."""

    cells: int
    minutes: int
    now: int

    @property
    def first(self) -> int:
        return self.now - self.minutes + 1

    def at(self, ms: int) -> int:
        """The cell of a time in unix milliseconds."""
        passed = (ms / MINUTE_MS - self.first) / self.minutes
        return min(self.cells - 1, max(0, int(passed * self.cells)))

    def parts(self, day: ByMinute) -> list[Minute]:
        """For each cell what ran in it: its minute, or the mean of its minutes, so that ribbons of any width look alike."""
        ran = day.since(self.minutes)
        begins = [cell * self.minutes // self.cells for cell in range(self.cells + 1)]
        return [_mean(ran[begin : max(end, begin + 1)]) for begin, end in pairwise(begins)]


def _mean(ran: Sequence[Minute]) -> Minute:
    """Something that is not nothing stays something."""
    runs, errors = (sum(one.runs for one in ran), sum(one.errors for one in ran))
    return Minute(-(-runs // len(ran)), -(-errors // len(ran)))


def lines_of(past: Past, width: int, minutes: int, chosen: int = 0, height: int = 0) -> list[Text]:
    """The whole ribbon, each line at most `width` cells. `chosen`: a generation that the ticks mark; `height`: of the room, which
    makes bars higher and leaves more generations their names.
    """
    head = HEAD if width >= _WIDE else 0
    scale = Scale(max(1, width - head), minutes, past.day.now)
    parts = scale.parts(past.day)
    generations = past.shown(minutes)
    meant = {found.generation.generation for _, found in past.onsets}
    tall = max(1, min(TALL, 1 + (height - _LOW) // _PER_TALL)) if any(one.runs or one.errors for one in parts) else 1
    labels = max(LABELS[0], min(LABELS[1], height - 2 * tall - _REST))
    lines = [
        _headline(past, minutes),
        *_beside("runs", [Text(row, "cyan") for row in _bars([one.runs for one in parts], tall)], head),
        *([Text()] if tall > 1 else []),  # else high bars of both are one, where there are no colours
        *_beside("errors", _errors(parts, tall), head),
        _named("gens", _ticks(scale, generations, chosen), head),
        *(_named("", line, head) for line in _labels(scale, generations, meant, labels)),
        _named("", _axis(scale), head),
        *(part for line in _said(past, minutes) for part in _folded(line, width)),
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines


def _headline(past: Past, minutes: int) -> Text:
    ran = past.day.since(minutes)
    runs, errors = sum(one.runs for one in ran), sum(one.errors for one in ran)
    most = max((one.runs for one in ran), default=0)
    worst = max((one.errors for one in ran), default=0)
    return Text.assemble(
        (f"last {_span(minutes)}", "bold"),
        f"  {short_number(runs)} runs, at most {short_number(most)} a minute  ",
        (f"{short_number(errors)} errors, at most {short_number(worst)} a minute", "bold red")
        if errors
        else "no errors",
    )


def _span(minutes: int) -> str:
    return f"{minutes // 60} hours" if minutes > 60 else "hour"


def _named(name: str, line: Text, head: int) -> Text:
    return Text.assemble((name.ljust(head)[:head], "dim"), line)


def _beside(name: str, lines: Sequence[Text], head: int) -> list[Text]:
    """The name stands beside the last of them."""
    return [_named("" if at < len(lines) - 1 else name, line, head) for at, line in enumerate(lines)]


def _bars(values: Sequence[int], tall: int) -> list[str]:
    """A bar each, over so many lines from the top down; a blank for 0."""
    steps, most = len(BARS), max(values, default=0)
    levels = [min(steps * tall, value * steps * tall // most + 1) if value else 0 for value in values]
    return [
        "".join(BARS[min(steps, level - below) - 1] if level > below else NOTHING_RAN for level in levels)
        for below in range(steps * (tall - 1), -1, -steps)
    ]


def _errors(parts: Sequence[Minute], tall: int) -> list[Text]:
    """A bar where something failed, a dot where all went well, nothing where nothing ran."""
    *above, last = _bars([one.errors for one in parts], tall)
    line = Text()
    for bar, part in zip(last, parts, strict=True):
        fine = part.runs > 0 and not part.errors
        line.append(FINE if fine else bar, "dim" if fine else "bold red")
    return [*(Text(row, "bold red") for row in above), line]


def _ticks(scale: Scale, generations: Iterable[Generation], chosen: int) -> Text:
    cells = [" "] * scale.cells
    for one in reversed(list(generations)):  # the newest stands above
        cells[scale.at(one.at_ms)] = TICK
    for one in generations:
        if one.generation == chosen:
            cells[scale.at(one.at_ms)] = CHOSEN
    return Text("".join(cells), "bold yellow")


def _labels(scale: Scale, generations: Sequence[Generation], meant: set[int], room: int) -> list[Text]:
    """Number, author and subject below their ticks, the newest first, and how many there was no room for."""
    rows: list[list[tuple[int, str, str]]] = [[] for _ in range(min(room, len(generations)))]
    left = 0
    for one in sorted(generations, key=lambda one: (one.generation in meant, one.at_ms), reverse=True):
        begin, label = _placed(_label(one, one.generation in meant), scale.at(one.at_ms), scale.cells)
        row = next((row for row in rows if _is_free(row, begin, begin + cell_len(label))), None)
        if row is None:
            left += 1
        else:
            row.append((begin, label, "bold red" if one.generation in meant else ""))
    lines = [_laid(row) for row in rows if row]
    if left:
        lines.append(Text(f"and {left} more generation{'' if left == 1 else 's'}: h lists all"[: scale.cells], "dim"))
    return lines


def _label(one: Generation, cause: bool) -> str:
    author = one.author.partition(" <")[0].strip() or one.applied_by
    return f"{one.generation}{CAUSE if cause else ''} {clean(author, 40)}: {clean(one.subject, 200)}"


def _placed(label: str, at: int, cells: int) -> tuple[int, str]:
    """Behind a corner beneath its tick, or before one if there is more room; and where it begins."""
    if cell_len(label) < cells - at or at < cells - at:
        return at, RIGHT + _cut(label, cells - at - 1)
    label = _cut(label, at)
    return at - cell_len(label), label + LEFT


def _cut(label: str, cells: int) -> str:
    return label if cell_len(label) <= cells else f"{set_cell_size(label, max(0, cells - 1))}…"


def _is_free(row: Sequence[tuple[int, str, str]], begin: int, end: int) -> bool:
    return all(end < start or begin > start + cell_len(label) for start, label, _ in row)


def _laid(row: Iterable[tuple[int, str, str]]) -> Text:
    line = Text()
    for begin, label, style in sorted(row):
        line.append(" " * (begin - cell_len(line.plain)))
        line.append(label, style)
    return line


def _axis(scale: Scale) -> Text:
    """Times, as many as there is room for; the first with its zone."""
    cells = [" "] * scale.cells
    many = max(1, min(6, scale.cells // 12))
    for place in range(many):
        at = scale.cells * place // many
        minute = scale.first + scale.minutes * place // many
        label = clock(minute * MINUTE_MS)[:5]
        for offset, letter in enumerate(label if place else f"{label} {zone_name()[:5]}"):
            if at + offset < scale.cells:
                cells[at + offset] = letter
    now = "now"
    if scale.cells >= 12:
        cells[-len(now) :] = now
    return Text("".join(cells), "dim")


def _folded(line: Text, width: int) -> list[Text]:
    """A sentence on as many lines as it needs, three at most."""
    if cell_len(line.plain) <= width:
        return [line]
    return [
        Text(part, line.style) for part in wrap(line.plain, width, subsequent_indent="  ", max_lines=3, placeholder="…")
    ]


def _said(past: Past, minutes: int) -> list[Text]:
    """What is known of the errors, or why nothing is."""
    ran = past.day.since(minutes)
    if not any(one.runs or one.errors for one in ran):
        last = max(past.day.minutes, default=0)
        ago = (
            f"it ran last {age((past.day.now - last) * 60)} ago: + shows a day"
            if last
            else "nothing ran in the last day"
        )
        return [Text(ago, "dim")]
    if past.onsets:
        return [
            Text.assemble(
                (f"{CAUSE} ", "bold red"), clean(f"{name}: " if not past.name else ""), clean(str(found), 300)
            )
            for name, found in past.onsets
        ]
    if any(one.errors for one in ran):
        return [Text("which generation the errors began with can't be said", "dim")]
    return []
