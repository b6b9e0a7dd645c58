"""`luasprocs lsp`: the language server that editors start."""

from __future__ import annotations

import logging
import os
import sys

import click


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Talk over stdin and stdout, which it does anyway.")
@click.option("--context", metavar="NAME", default="", help="A context of screen.toml, instead of --redis.")
@click.pass_obj
def command(flags: dict[str, object], stdio: bool, context: str) -> int:
    """Run the language server, for an editor, over stdin and stdout.

    It shows live data of the server that other commands would use in the work tree, if that answers.
    """
    from sync.lsp.server import make_server  # noqa: PLC0415  # pygls takes half a second

    del stdio
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    if not flags.get("debug"):
        logging.getLogger("pygls").setLevel(logging.CRITICAL)  # each message that it can't read would be a traceback
    # Whatever prints goes to stderr: stdout is the protocol's, and closed by who talks it.
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as stdin, os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stdout:
        sys.stdout = sys.stderr
        make_server(flags, context).start_io(stdin, stdout)
    return 0
