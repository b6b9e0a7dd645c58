"""`luasprocs history`: what was live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.contract.codes import Action
from luasprocs.language.values import some_of
from luasprocs.registry.history import read_history
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.registry.history import Generation


@click.command("history")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option("-n", "count", type=click.IntRange(1), default=None, help="Show at most this many.")
@click.pass_obj
def command(flags: dict[str, object], as_json: bool, count: int | None) -> None:
    """Show the generations, newest first: when, by whom, which commit, what changed."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        history = read_history(session.registry, count)
    if as_json:
        for entry in history:
            console.json(entry._asdict())
        return
    rows = [
        (
            entry.generation,
            entry.applied_at[:19].replace("T", " "),
            entry.commit[:10],
            f"+{len(entry.created)} ~{len(entry.updated)} -{len(entry.deleted)}",
            entry.applied_by,
            _said(entry),
        )
        for entry in history
    ]
    console.table(("generation", "applied (utc)", "commit", "changes", "by", "subject"), rows)


def _said(entry: Generation) -> str:
    said = entry.subject if entry.action == Action.SYNC else f"{entry.action}: {entry.subject}"
    return f"{said} (repaired {some_of(entry.healed)})" if entry.healed else said
