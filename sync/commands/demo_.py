"""`luasprocs demo`: the whole tour, for real, on an embedded server and a fresh git repository."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from sync.console import Console
from sync.demo import Tour
from sync.demo_traffic import show


@click.command("demo")
@click.option("--screen", is_flag=True, help="Open luasprocs-tui on a server where everything moves.")
@click.pass_obj
def command(flags: dict[str, object], screen: bool) -> int:
    """Start a server and a repository; sync, run, change, refuse and roll back sprocs; check every value."""
    console = Console.of_process()
    with tempfile.TemporaryDirectory(prefix="luasprocs-demo-") as folder:
        if screen:
            return show(Path(folder))
        Tour(console, Path(folder)).run()
    return 0
