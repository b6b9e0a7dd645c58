"""`luasprocs rollback`: back to an earlier generation, without git."""

from __future__ import annotations

import click

from sync.commands.sync_ import print_outcome
from sync.console import Console
from sync.session import Session
from sync.syncing import rollback


@click.command("rollback")
@click.argument("generation", type=click.IntRange(1), required=False)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], generation: int | None, as_json: bool) -> None:
    """Make live what was at GENERATION (default: the one before), as a new generation, pinned until the next sync."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        outcome = rollback(session.client, session.keys, generation)
    print_outcome(console, outcome, as_json=as_json, verb="rolled back")
