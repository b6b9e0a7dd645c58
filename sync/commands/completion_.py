"""`luasprocs completion`: the completion script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from luasprocs.errors import SettingsError


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a completion script for SHELL. To load it: eval "$(luasprocs completion bash)"."""
    kind = get_completion_class(shell)
    if kind is None:
        raise SettingsError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "luasprocs", "_LUASPROCS_COMPLETE").source())
