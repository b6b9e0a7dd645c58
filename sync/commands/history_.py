"""`luasprocs history`: what was live."""

from __future__ import annotations

import click

from luasprocs.registry.history import read_history
from sync.console import Console
from sync.session import Session


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
            entry.subject if entry.action == "sync" else f"{entry.action}: {entry.subject}",
        )
        for entry in history
    ]
    console.table(("generation", "applied (utc)", "commit", "changes", "by", "subject"), rows)
