"""`luasprocs show`: one live sproc."""

from __future__ import annotations

import click

from luasprocs.errors import NoSprocError
from luasprocs.registry import read_sprocs, text
from sync.console import Console, safe
from sync.session import Session


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--source", "source_only", is_flag=True, help="The source alone, byte for byte.")
@click.pass_obj
def command(flags: dict[str, object], name: str, as_json: bool, source_only: bool) -> None:
    """Show one live sproc: metadata, counters, source."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        found = read_sprocs(session.client, session.keys, [name])
        stored = session.client.hgetall(session.keys.stats(name))
    if not found:
        raise NoSprocError(f"no sproc named {name!r} is live: see luasprocs list")
    sproc = found[0]
    stats = {text(key): text(value) for key, value in stored.items()}
    source = sproc.source.decode("utf-8", "replace")
    if source_only:
        click.echo(sproc.source, nl=False)
        return
    facts = {"name": sproc.name, "sha": sproc.sha, "blob": sproc.blob, "commit": sproc.commit, **sproc.values}
    if as_json:
        console.json({**facts, "stats": stats, "source": source})
        return
    for key, value in {**facts, **stats}.items():
        # A value has one line, or it could pass for other facts.
        head, rest = safe(f"{key:<18}"), safe(value).replace("\n", "\\n")
        print(f"{console.style(head, 'dim')}{rest}".rstrip(), file=console.out)
    console.line()
    for number, line in enumerate(source.splitlines(), 1):
        console.line(f"{number:>4}  {line}")
