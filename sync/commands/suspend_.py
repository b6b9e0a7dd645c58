"""`luasprocs suspend`: no sync applies anything."""

from __future__ import annotations

import click

from luasprocs.operations.identity import user_at_host
from luasprocs.state.desired import read_suspended, suspend
from sync.console import Console
from sync.session import Session


@click.command("suspend")
@click.argument("why", nargs=-1)
@click.pass_obj
def command(flags: dict[str, object], why: tuple[str, ...]) -> None:
    """Stop all syncs (daemons, hooks, `luasprocs sync`) until `luasprocs unsuspend`.

    Daemons still check for changes, and sprocs still run.
    """
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), session.changing("status"):
        if suspend(session.registry, user_at_host(), " ".join(why)):
            console.line("suspended: nothing is synced until luasprocs unsuspend")
        else:
            console.line(f"already suspended {read_suspended(session.registry)}")
