"""One record: everything that is known of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.table import Table as Grid
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Static

from luasprocs.server.readable_errors import readable_error
from luasprocs.state.executions import Execution
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.screens.reading import read_place
from luasprocs_tui.values.cascade import cascade
from luasprocs_tui.values.lines import coloured
from luasprocs_tui.values.numbers import short_us
from luasprocs_tui.values.places import Place, places_of
from luasprocs_tui.values.replies import pretty, record_json
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.times import whole
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.scroll import TextScroll
from luasprocs_tui.widgets.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from luasprocs_tui.connection import Connection

AROUND = 4
"""Lines shown before and behind that of an error."""
CHAIN_SHOWN = 50


class RecordScreen(BaseScreen):
    """With the runs of the same chain, and the lines of the source around that of the error."""

    PLACE = "record"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="record.back"),
        *actions.bindings("record"),
    ]

    def __init__(self, record: Execution, chain: Sequence[Execution]) -> None:
        super().__init__()
        self.record, self._chain = record, chain
        self._places = places_of(record)
        self._place: Place = (record.sproc, 0)

    @property
    def sprocs(self) -> tuple[str, ...]:
        return (self.record.sproc,) if self.record.sproc else ()

    def compose(self) -> ComposeResult:
        yield Status()
        yield Static(Text.assemble(self.way, (clean(self.heading, 80), "bold")), id="title")
        with TextScroll(id="text"):
            yield Static(facts(self.record), id="record-facts")
            yield Static(id="record-source")
            yield Static(_said(self.record), id="record-said")
            yield Static(_chained(self.record, self._chain), id="record-chain")
        yield KeyLine()

    @property
    def heading(self) -> str:
        return f"Execution {self.record.id}"

    def on_mount(self) -> None:
        """Keys scroll it; the source's lines come later."""
        self.query_one("#text").focus()
        self.query_one("#record-source").display = False

    def start(self, connection: Connection) -> None:
        """Reads the source that the error names a line of, if it does."""
        if self._places:
            read = partial(read_place, connection.backend, self._places, dark=self.app.current_theme.dark)
            connection.read_once(self, read, "source")

    @on(messages.SourceRead)
    def _source_read(self, event: messages.SourceRead) -> None:
        """The lines around that of the error."""
        self._place = name, line = event.place
        first, last = max(1, line - AROUND), min(len(event.lines), line + AROUND)
        if not first <= line <= last:
            return
        width = len(str(last))
        shown = [Text(f"\n{clean(name, 200)}:{line}", "bold")]
        for at in range(first, last + 1):
            here = at == line
            head = (f"{'>' if here else ' '} {at:>{width}}  ", "bold red" if here else "dim")
            shown.append(Text.assemble(head, event.lines[at - 1], no_wrap=True))
        widget = self.query_one("#record-source", Static)
        widget.update(Text("\n").join(shown))
        widget.display = True

    def action_execute(self, typed: str = "") -> None:
        """Runs what was typed; else asks for keys and arguments, with what this run had."""
        if typed or not self.record.sproc:
            super().action_execute(typed)
        else:
            self.controller.runs.again(self.record)

    def action_replay(self) -> None:
        if self.record.sproc:
            self.post_message(messages.OpenReplay(self.record))

    def action_source(self) -> None:
        """Opens the sproc in which the error happened, at its line."""
        if self._place[0]:
            self.post_message(messages.OpenSource(*self._place))

    def copied(self) -> str:
        return record_json(self.record)

    def exported(self) -> tuple[str, str]:
        return f"{''.join(one if one.isalnum() else '-' for one in self.record.id)}.json", record_json(self.record)


def facts(one: Execution) -> Grid:
    """Its fields, a line each, long ones below themselves; those that it lacks are left out."""
    fields = {
        "sproc": one.sproc,
        "trigger": f"{one.trigger} {one.event}".strip(),
        "status": one.status,
        "error": readable_error(one.error),
        "key": one.key,
        "at": f"{whole(one.time_ms)} (server)",
        "took": f"{one.duration_ms_text} ms",
        "origin": one.origin.strip("-"),
        "depth": str(one.depth) if one.depth > 1 else "",
        "commit": one.commit,
        "daemon": one.daemon,
    }
    styles = {"status": "bold red", "error": "red"} if one.failed else {}
    grid = Grid.grid(padding=(0, 2))
    for name, value in fields.items():
        if value:
            grid.add_row(Text(name, "dim"), Text(clean(value), styles.get(name, "")))
    return grid


def _said(one: Execution) -> Text:
    if not one.reply:
        return Text()
    return Text.assemble(
        ("\nreply\n", "dim"), coloured(pretty(one.reply.encode("utf-8", "surrogateescape")), diff=False)
    )


def _chained(record: Execution, chain: Sequence[Execution]) -> Text:
    """The runs with the same origin, as a tree, each with its time since the first."""
    if len(chain) < 2:
        return Text()
    nodes = cascade(chain)
    began = len({(node.run.event, node.run.key) for node in nodes if node.run.depth == 1 and node.run.event})
    cause = "one event" if began < 2 else f"{began} events that ran together"
    lines = [Text(f"\ncascade: {len(nodes)} runs from {cause}", "dim")]
    for node in nodes[:CHAIN_SHOWN]:
        one, here = node.run, node.run.id == record.id
        lines.append(
            Text.assemble(
                ("> " if here else "  ") + node.branch[:80],
                (f"{clean(node.cause, 100)} → " if node.cause else "", "cyan"),
                (clean(one.sproc, 100), "bold" if here else ""),
                (f"  {clean(one.status, 20)}", "bold red" if one.failed else "dim"),
                (f"  {short_us(one.duration_us)}  +{node.after_ms} ms", "dim"),
                no_wrap=True,
                overflow="ellipsis",
            )
        )
    if len(nodes) > CHAIN_SHOWN:
        lines.append(Text(f"  … and {len(nodes) - CHAIN_SHOWN} more", "dim"))
    return Text("\n").join(lines)
