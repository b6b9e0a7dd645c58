"""`luasprocs acl`: the least-privilege rule for a role."""

from __future__ import annotations

import click

from luasprocs.server.acl import OWN_COMMANDS, ROLES, rule, setuser
from sync.console import Console
from sync.session import Session


@click.command("acl")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--user", default=None, help="The user's name [default: luasprocs-ROLE].")
@click.option("--key", "keys", multiple=True, help="A glob of keys that sprocs use (caller, daemon); repeatable.")
@click.option(
    "--command",
    "commands",
    multiple=True,
    help="A command or @category that sprocs use (caller, daemon); repeatable [default: @read and @write].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rule's words as a JSON list.")
@click.pass_obj
def command(
    flags: dict[str, object],
    role: str,
    user: str | None,
    keys: tuple[str, ...],
    commands: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print the ACL SETUSER command for ROLE. Replace PASSWORD in it."""
    console, session = Console.of_process(), Session(flags)
    own_keys, own_commands = keys or None, commands or OWN_COMMANDS
    if as_json:
        console.json(list(rule(role, session.keys, own_keys=own_keys, own_commands=own_commands)))
    else:
        console.line(setuser(role, session.keys, user or "", own_keys=own_keys, own_commands=own_commands))
