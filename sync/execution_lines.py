"""How executions are printed: columns on a terminal, tab-separated in a pipe, JSON lines."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.operations.terminal import Printable, escaped
from luasprocs.state.executions import time_text
from sync.console import cell_of, json_text, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.state.executions import Execution
    from sync.console import Console

_HEAD = ("TIME (UTC)", "SPROC", "TRIGGER", "STATUS", "MS", "KEY", "RESULT")
_RIGHT = _HEAD.index("MS")
_STATUS = _HEAD.index("STATUS")
_GAP = "  "
_LEAST_SAID = 10
_CELL_CHARACTERS = 2000
# What a column may take of the terminal, as a divisor of its columns; others are as wide as their content.
_SHARES = {"SPROC": 5, "TRIGGER": 7, "KEY": 6}
_TONES = {"skipped": "yellow", "missed": "yellow", "ok": "green"}


class Printer:
    """Prints records one batch after the other. On a terminal columns grow with what comes, up to a limit."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._widths = [width(name) for name in _HEAD]
        self._headed = False

    def show(self, executions: Sequence[Execution]) -> None:
        """Prints records, and lets go of them at once."""
        if self._as_json:
            lines: Iterable[Printable] = map(json_line, executions)
        elif self._console.terminal:
            lines = self._columns(executions)
        else:
            lines = (Printable("\t".join(map(cell_of, row_of(one)))) for one in executions)
        for line in lines:
            self._console.print(line)
        self._console.out.flush()

    def _columns(self, executions: Sequence[Execution]) -> Iterable[Printable]:
        room = shutil.get_terminal_size().columns
        limits = [room // _SHARES[name] if name in _SHARES else room for name in _HEAD[:-1]]
        rows = [[cell_of(cell[:_CELL_CHARACTERS]) for cell in _short_row(one)] for one in executions]
        for row in rows:
            sizes = (min(width(cell), limit) for cell, limit in zip(row, limits, strict=False))
            self._widths[:-1] = map(max, self._widths, sizes)
        self._widths[-1] = max(_LEAST_SAID, room - sum(self._widths[:-1]) - len(_GAP) * (len(_HEAD) - 1))
        if not self._headed:
            self._headed = True
            yield self._console.style(self._line([*map(escaped, _HEAD)]), "bold")
        for row, one in zip(rows, executions, strict=True):
            yield self._line(row, "red" if one.failed else _TONES.get(one.status, ""))

    def _line(self, cells: Sequence[Printable], tone: str = "") -> Printable:
        parts = [_fit(cell, size) for cell, size in zip(cells, self._widths, strict=True)]
        parts[_RIGHT] = Printable(f"{parts[_RIGHT].rstrip():>{len(parts[_RIGHT])}}")
        parts[-1] = Printable(parts[-1].rstrip())
        if tone:
            parts[_STATUS] = self._console.style(parts[_STATUS], tone)
        return Printable(_GAP.join(parts).rstrip())


def row_of(one: Execution) -> tuple[str, ...]:
    """A record for a pipe: time, sproc, trigger, event, key, status, milliseconds, error or reply."""
    return (
        time_text(one.time_ms),
        one.sproc,
        one.trigger,
        one.event,
        one.key,
        one.status,
        one.duration_ms_text,
        one.said,
    )


def json_line(one: Execution) -> Printable:
    """A record as one line of JSON."""
    return json_text(record_json(one))


def record_json(one: Execution) -> dict[str, Any]:
    """A record as JSON can hold it; bytes that are not UTF-8 as backslash escapes in a string."""
    return {
        name: raw(value).decode("utf-8", "backslashreplace") if isinstance(value, str) else value
        for name, value in one._asdict().items()
    }


def _short_row(one: Execution) -> tuple[str, ...]:
    """A record for a terminal: the day only where it isn't today."""
    day, _, clock = time_text(one.time_ms).removesuffix("Z").partition("T")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    when = clock if day == today else f"{day[5:]} {clock}".strip()
    trigger = f"{one.trigger} {one.event}".strip()
    return when or "?", one.sproc, trigger, one.status, one.duration_ms_text, one.key, one.said


def _fit(text: Printable, size: int) -> Printable:
    """Text of exactly `size` columns."""
    if width(text) > size:
        while width(text) > size - 1:
            text = Printable(text[: min(len(text) - 1, size - 1)])
        text = Printable(text + "…")
    return Printable(text + " " * (size - width(text)))
