"""`luasprocs acl`: the least-privilege rule for a role."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from luasprocs.errors import SettingsError
from luasprocs.operations.exposure import exposure
from luasprocs.server.acl import OWN_COMMANDS, ROLES, ClusterKind, rule, setuser
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from typing import TextIO


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
@click.option(
    "--channel", "channels", multiple=True, help="A glob of channels that sprocs publish to (caller); repeatable."
)
@click.option("--no-config", is_flag=True, help="Without CONFIG, which reaches all of the server's settings (daemon).")
@click.option("--cluster", is_flag=True, help="For the nodes of a cluster [default: as luasprocs.toml says].")
@click.option(
    "--valkey-9", is_flag=True, help="For those of Valkey 9 or later, which a daemon asks what slots migrate."
)
@click.option(
    "--password-file",
    type=click.File(encoding="utf-8"),
    help="The user's password, a line (`-`: standard input); printed as its hash. Without it nobody can log in yet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rule's words as a JSON list.")
@click.pass_obj
def command(flags: dict[str, object], /, role: str, user: str | None, as_json: bool, **options: Any) -> None:
    """Print the ACL SETUSER command for ROLE."""
    console, session = Console.of_process(), Session(flags)
    own_keys, own_commands = options["keys"] or None, options["commands"] or OWN_COMMANDS
    own_commands = (*own_commands, *(f"&{glob}" for glob in options["channels"]))
    nodes = ClusterKind.ANY if options["cluster"] or session.repository_settings.cluster else ClusterKind.NONE
    nodes = ClusterKind.VALKEY_9 if options["valkey_9"] else nodes
    config = not options["no_config"]
    words = rule(role, session.keys, own_keys=own_keys, own_commands=own_commands, config=config, nodes=nodes)
    if as_json:
        console.json(list(words))
        return
    user = f"luasprocs-{role}" if user is None else user
    file = options["password_file"]
    password = _password(file)
    if password and (said := exposure("the password", Path(file.name))):
        console.warn(said)
    console.line(setuser(user, words, password))
    if not password:
        console.warn(
            f"{user} has no password, so nobody can log in: give one by --password-file, or ACL SETUSER {user} '>…'"
        )


def _password(file: TextIO | None) -> str:
    if file is None:
        return ""
    password: str = file.readline().rstrip("\r\n")
    if not password:
        raise SettingsError(f"{file.name} has no password: write one into its first line")
    return password
