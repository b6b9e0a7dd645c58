"""`luasprocs pause`: stops a sproc's triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.operations.identity import user_at_host
from luasprocs.operations.pause import pause
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.operations.pause import Paused


@click.command("pause")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], names: tuple[str, ...], as_json: bool) -> None:
    """Stop the triggers of live sprocs until `luasprocs resume`. Events are skipped, not kept. Direct calls still work."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), session.changing("status"):
        done = pause(session.registry, names, by=user_at_host())
    print_paused(console, done, "paused", "was paused already", as_json=as_json)


def print_paused(console: Console, done: Paused, verb: str, already: str, *, as_json: bool) -> None:
    """What a pause or a resume changed."""
    if as_json:
        console.json({verb: list(done.changed), "unchanged": list(done.unchanged)})
        return
    for name in done.changed:
        console.line(f"{verb} {name}")
    for name in done.unchanged:
        console.line(f"{name} {already}")
