"""`luasprocs lsp`: the language server that editors start."""

from __future__ import annotations

import logging
import os
import sys

import click


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Talk over stdin and stdout, which it does anyway.")
def command(stdio: bool) -> int:
    """Run the language server, for an editor, over stdin and stdout."""
    from sync.lsp.server import make_server  # noqa: PLC0415  # pygls takes half a second

    del stdio
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    # Whatever prints goes to stderr: stdout is the protocol's, and closed by who talks it.
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as stdin, os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stdout:
        sys.stdout = sys.stderr
        make_server().start_io(stdin, stdout)
    return 0
