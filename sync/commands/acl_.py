"""`luasprocs acl`: the least-privilege rule for a role."""

from __future__ import annotations

import click

from luasprocs.acl import ROLES, rule
from sync.console import Console
from sync.session import Session


@click.command("acl")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--user", default=None, help="The user's name; default: luasprocs-ROLE.")
@click.option("--key", "keys", multiple=True, help="caller: an application's own keys, as a glob; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON list of the rule's words.")
@click.pass_obj
def command(flags: dict[str, object], role: str, user: str | None, keys: tuple[str, ...], as_json: bool) -> None:
    """Print the ACL SETUSER command for ROLE. Set a password with it: append >SECRET, or use an ACL file."""
    console, session = Console.of_process(), Session(flags)
    words = rule(role, session.keys, user=user or f"luasprocs-{role}", app_keys=keys or ("app:*",))
    if as_json:
        console.json(list(words))
    else:
        console.line(" ".join(words))
