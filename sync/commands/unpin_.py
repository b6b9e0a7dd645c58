"""`luasprocs unpin`: what a rollback keeps out may come again."""

from __future__ import annotations

import click

from luasprocs.operations.identity import user_at_host
from luasprocs.operations.rollback import unpin
from sync.console import Console
from sync.session import Session


@click.command("unpin")
@click.argument("names", nargs=-1)
@click.option("--why", metavar="TEXT", default="", help="The reason, for the history.")
@click.pass_obj
def command(flags: dict[str, object], names: tuple[str, ...], why: str) -> None:
    """Let git's versions come again that a rollback keeps out: of NAMES, or of all sprocs. The next sync brings them."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        lifted = unpin(session.registry, names, by=user_at_host(), why=why)
    console.line(f"nothing keeps out what git has of {', '.join(lifted)}" if lifted else "the rollback's pin is lifted")
