"""`luasprocs check`: what is wrong with sprocs, before anybody commits them. Needs neither redis nor a server."""

from __future__ import annotations

import click

from sync.console import Console
from sync.reconcile.check import check_files, check_staged


@click.command("check")
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--staged", is_flag=True, help="Check what is staged for the next commit instead of the work tree.")
@click.option("--json", "as_json", is_flag=True, help="Print each problem as a JSON line.")
@click.pass_obj
def command(flags: dict[str, object], files: tuple[str, ...], staged: bool, as_json: bool) -> int:
    """Check FILE… (default: every sproc of the work tree): header, Lua syntax, use of the sandbox."""
    console = Console.of_process()
    count, problems = check_staged(flags, files) if staged else check_files(flags, files)
    if not files and not count and not problems:
        where = "the index" if staged else "the work tree"
        console.warn(f"{where} has no sprocs: while sprocs are live, sync refuses that without --prune-all")
    if as_json:
        for problem in problems:
            console.json(problem._asdict())
    elif problems:
        console.problems(problems)
    elif console.terminal and count:
        console.line(f"{count} sproc{'s' if count != 1 else ''} fine", "green")
    return 1 if any(one.kind != "warning" for one in problems) else 0
