"""`luasprocs show`: one live sproc."""

from __future__ import annotations

import click

from luasprocs.contract.encoding import text
from luasprocs.errors import RegistryError
from luasprocs.operations.sprocs import live_sproc
from luasprocs.operations.terminal import Printable, escaped, in_a_line
from luasprocs.state.paused import read_paused
from luasprocs.state.stats import stored_stats
from sync.console import Console
from sync.session import Session


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--source", "source_only", is_flag=True, help="Print only the source, byte for byte (in a pipe).")
@click.pass_obj
def command(flags: dict[str, object], name: str, as_json: bool, source_only: bool) -> None:
    """Show one live sproc: metadata, counters, source."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        sproc = live_sproc(session.registry, name)
        stats = _stats(console, session, name)
        paused = name in read_paused(session.registry)
    source = sproc.source.decode("utf-8", "replace")
    if source_only:
        click.echo(escaped(source) if console.terminal else sproc.source, nl=False)
        return
    facts = {"name": sproc.name, "sha": sproc.sha, "blob": sproc.blob, "commit": sproc.commit, **sproc.values}
    if as_json:
        console.json({**facts, "paused": paused, "stats": stats, "source": source})
        return
    state = {"state": f"paused: luasprocs resume {name}"} if paused else {}
    for key, value in {**facts, **state, **stats}.items():
        # A value has one line, or it could pass for other facts.
        head = console.style(in_a_line(f"{key:<18}"), "dim")
        console.print(Printable(f"{head}{in_a_line(value)}".rstrip()))
    console.line()
    for number, line in enumerate(source.splitlines(), 1):
        console.line(f"{number:>4}  {line}")


def _stats(console: Console, session: Session, name: str) -> dict[str, str]:
    """The counters; none, and a warning, where the key is none of ours: no sync touches it."""
    try:
        stored = stored_stats(session.registry, name)
    except RegistryError:
        key = session.keys.stats(name)
        console.warn(f"{key} is not a hash: the counters are left out, and the next recorded run starts new ones")
        return {}
    return {text(field): text(value) for field, value in stored.items()}
