"""`luasprocs list`: the live sprocs."""

from __future__ import annotations

import click

from luasprocs.language.sproc import Sproc
from luasprocs.language.triggers import described
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.state.paused import read_paused
from sync.console import Console
from sync.session import Session


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_obj
def command(flags: dict[str, object], as_json: bool) -> None:
    """List the live sprocs: name, trigger, state, description."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        live = read_live(session.registry)
        sprocs = read_sprocs(session.registry, live.sprocs)
        paused = read_paused(session.registry)
    drift = set(live.drift)
    if as_json:
        for sproc in sprocs:
            console.json(
                {
                    "name": sproc.name,
                    "sha": sproc.sha,
                    "blob": sproc.blob,
                    "commit": sproc.commit,
                    **sproc.values,
                }
                | {"drift": sproc.name in drift, "paused": sproc.name in paused}
            )
        return
    found = {sproc.name: sproc for sproc in sprocs}
    console.table(
        ("name", "trigger", "state", "description"),
        [_row(name, found.get(name), drifted=name in drift, paused=name in paused) for name in live.sprocs],
    )


def _row(name: str, sproc: Sproc | None, *, drifted: bool, paused: bool) -> tuple[str, str, str, str]:
    """`sproc` is None where the list names one that isn't there, or is not a hash."""
    if sproc is None:
        return name, "?", "drift", ""
    state = "drift" if drifted else "ok" if sproc.enabled else "disabled"
    if paused:
        state = "paused" if state == "ok" else f"{state}, paused"
    return name, described(sproc.values), state, sproc.values.get("description", "")
