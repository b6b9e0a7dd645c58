"""`luasprocs dap`: the debug adapter that editors start."""

from __future__ import annotations

import os
import sys

import click

from sync.console import Console
from sync.debugger.ending import end_in_order


@click.command("dap")
@click.option("--stdio", is_flag=True, help="Talk over stdin and stdout, which it does anyway.")
def command(stdio: bool) -> int:
    """Run the debug adapter, for an editor, over stdin and stdout."""
    from sync.debugger.adapter import Adapter  # noqa: PLC0415  # the server's parts, which no other command needs
    from sync.debugger.transport import Transport  # noqa: PLC0415  # as above

    del stdio
    end_in_order()
    # Whatever prints goes to stderr: stdout is the protocol's.
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as stdin, os.fdopen(os.dup(sys.stdout.fileno()), "wb") as stdout:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        sys.stdout = sys.stderr
        Adapter(Transport(stdin, stdout, Console.of_process().error)).run()
    return 0
