"""`luasprocs resume`: starts a paused sproc's triggers again."""

from __future__ import annotations

import click

from luasprocs.operations.pause import resume
from sync.commands.pause_ import print_paused
from sync.console import Console
from sync.session import Session


@click.command("resume")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], names: tuple[str, ...], as_json: bool) -> None:
    """Start the triggers of paused sprocs again."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), session.changing("status"):
        done = resume(session.registry, names)
    print_paused(console, done, "resumed", "was not paused", as_json=as_json)
