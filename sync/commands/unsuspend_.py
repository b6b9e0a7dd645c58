"""`luasprocs unsuspend`: syncs apply again."""

from __future__ import annotations

import click

from luasprocs.state.desired import unsuspend
from sync.console import Console
from sync.session import Session


@click.command("unsuspend")
@click.pass_obj
def command(flags: dict[str, object]) -> None:
    """Allow syncs again. A daemon catches up at once."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), session.changing("status"):
        lifted = unsuspend(session.registry)
    console.line("syncs are allowed again" if lifted else "syncs were not suspended")
