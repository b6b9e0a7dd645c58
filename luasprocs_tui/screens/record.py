"""One record: everything that is known of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from luasprocs.server.script_errors import readable_error
from luasprocs.state.executions import Execution, time_text
from luasprocs_tui import actions
from luasprocs_tui.controller.previews import pretty
from luasprocs_tui.screens.low_repaint import LowRepaintScreen
from luasprocs_tui.values.safe import clean
from luasprocs_tui.widgets.dialog import coloured
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

AROUND = 4
"""Lines shown before and behind that of an error."""
CHAIN_SHOWN = 50


class RecordScreen(LowRepaintScreen):
    """With the runs of the same chain, and the lines of the source around that of the error."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="record.back"),
        *actions.bindings("record"),
    ]

    class Loaded(Message):
        """The source has come, as safe lines; none where there is none any more."""

        def __init__(self, lines: Sequence[Text]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, record: Execution, chain: Sequence[Execution], line: int) -> None:
        super().__init__()
        self.record, self.line = record, line
        self._chain = chain

    @property
    def sprocs(self) -> tuple[str, ...]:
        """The one that ran."""
        return (self.record.sproc,) if self.record.sproc else ()

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Status()
        yield Static(Text(f"Execution {clean(self.record.id, 60)}", style="bold"), id="title")
        with VerticalScroll(id="text"):
            yield Static(facts(self.record), id="record-facts")
            yield Static(id="record-source")
            yield Static(_said(self.record), id="record-said")
            yield Static(_chained(self.record, self._chain), id="record-chain")
        yield KeyLine()

    def on_mount(self) -> None:
        """Keys scroll it; the source's lines come later."""
        self.query_one("#text").focus()
        self.query_one("#record-source").display = False

    def on_record_screen_loaded(self, event: Loaded) -> None:
        """The lines around that of the error."""
        first, last = max(1, self.line - AROUND), min(len(event.lines), self.line + AROUND)
        if not first <= self.line <= last:
            return
        width = len(str(last))
        shown = [Text(self.record.sproc and f"\n{clean(self.record.sproc, 200)}:{self.line}", "bold")]
        for at in range(first, last + 1):
            here = at == self.line
            head = (f"{'>' if here else ' '} {at:>{width}}  ", "bold red" if here else "dim")
            shown.append(Text.assemble(head, event.lines[at - 1], no_wrap=True))
        widget = self.query_one("#record-source", Static)
        widget.update(Text("\n").join(shown))
        widget.display = True


def facts(one: Execution) -> Text:
    """Its fields, a line each; those that it lacks are left out."""
    fields = {
        "sproc": one.sproc,
        "trigger": f"{one.trigger} {one.event}".strip(),
        "status": one.status,
        "key": one.key,
        "at": f"{time_text(one.time_ms)} (server)",
        "took": f"{one.duration_ms_text} ms",
        "origin": one.origin.strip("-"),
        "depth": str(one.depth) if one.depth else "",
        "commit": one.commit,
        "daemon": one.daemon,
    }
    lines = [
        Text.assemble((f"{name:<9}", "dim"), (clean(value), "bold red" if name == "status" and one.failed else ""))
        for name, value in fields.items()
        if value
    ]
    return Text("\n").join(lines)


def _said(one: Execution) -> Text:
    parts = []
    if one.error:
        parts.append(Text.assemble(("\nerror\n", "dim"), Text(clean(readable_error(one.error)), "red")))
    if one.reply:
        parts.append(
            Text.assemble(("\nreply\n", "dim"), coloured(pretty(one.reply.encode("utf-8", "surrogateescape"))))
        )
    return Text("\n").join(parts)


def _chained(record: Execution, chain: Sequence[Execution]) -> Text:
    """The other runs with the same origin, by depth and time."""
    if len(chain) < 2:
        return Text()
    lines = [Text("\nchain: runs with the same origin", "dim")]
    for one in sorted(chain, key=lambda one: (one.depth, one.id))[:CHAIN_SHOWN]:
        sign = ">" if one.id == record.id else " "
        said = f"{sign} {'  ' * min(one.depth - 1, 20)}{clean(one.sproc, 100)}  {clean(one.key, 100)}  {clean(one.status, 20)}"
        lines.append(Text(said, "bold" if one.id == record.id else ""))
    return Text("\n").join(lines)
