"""`luasprocs debug`: steps through a file, in a screen or at a prompt."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import click

from luasprocs.errors import SettingsError
from sync.commands.execute_ import RunCommand
from sync.console import Console


@click.command("debug", cls=RunCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--key", "keys", multiple=True, help="A key: the first is KEYS[1]; repeatable.")
@click.option("--seed", metavar="FILE", help="Redis commands to begin with, one a line.")
@click.option("--event", metavar="NAME", help="Run it as this event of the key.")
@click.option("--execution", metavar="ID", help="Run it as this record of luasprocs logs, with its key of now.")
@click.option("--environment", metavar="NAME", help="Run it on the server of this context, rolled back.")
@click.option("--redis", metavar="URL", help="Run it on this server, rolled back.")
@click.option("--plain", is_flag=True, help="A prompt instead of a screen.")
@click.pass_obj
def command(
    flags: dict[str, str],
    /,
    file: Path,
    args: tuple[str, ...],
    keys: tuple[str, ...],
    plain: bool,
    **options: str | None,
) -> int:
    """Step through FILE on a throw-away server, called with ARG…, or as its header's event or schedule would run it.

    Put -- before arguments that start with --.
    """
    plain = plain or not (sys.stdin.isatty() and sys.stdout.isatty())
    for name, value in options.items():
        if value == "":
            raise SettingsError(f"--{name}: is empty; leave it out, or say which")
    named = {name: value for name, value in options.items() if value}
    given = {"program": str(file.absolute()), "keys": [*keys], "args": [*args], "stopOnEntry": True, **named}
    if "execution" in named and not named.keys() & {"redis", "environment"}:
        given["redis"] = flags.get("redis", "")
    given["namespace"] = flags.get("namespace", "")
    if not plain:
        environ = os.environ | {"LUASPROCS_DEBUG_LAUNCH": json.dumps(given)}  # a URL may have a password: not for `ps`
        os.execve(sys.executable, [sys.executable, "-m", "luasprocs_tui.debugger"], environ)  # noqa: S606  # signals are for the screen
    from sync.debugger.configuration import Configuration  # noqa: PLC0415  # the server's parts, which the screen needs not
    from sync.debugger.ending import end_in_order  # noqa: PLC0415  # as above
    from sync.debugger.launch import Launched  # noqa: PLC0415  # as above
    from sync.debugger.prompt import run_prompt  # noqa: PLC0415  # as above

    end_in_order()
    # What an async sproc prints comes by file descriptor 1, and is said by the prompt.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1) as out, contextlib.redirect_stdout(out):
        return run_prompt(Console.of_process(), Launched(Configuration.parse(given)))
