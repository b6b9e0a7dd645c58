"""`luasprocs list`: the live sprocs."""

from __future__ import annotations

import click

from luasprocs.language.sproc import Sproc
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.state.paused import read_paused
from sync.console import Console
from sync.session import Session


def trigger_text(sproc: Sproc) -> str:
    """What runs a sproc, in a few words."""
    metadata = sproc.metadata
    if metadata.library:
        return "library"
    parts = []
    if metadata.events:
        parts.append(f"{','.join(metadata.events)} on {','.join(metadata.keys)}")
    if metadata.cron:
        parts.append(f"cron {metadata.cron}")
    if metadata.every_ms:
        parts.append(f"every {sproc.values['every']}")
    if metadata.runasync:
        parts.append("async")
    return "; ".join(parts) or "call"


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
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
    """`sproc` is None where the list names one that isn't there, or is no hash."""
    if sproc is None:
        return name, "?", "drift", ""
    state = "drift" if drifted else "ok" if sproc.metadata.enabled else "disabled"
    if paused:
        state = "paused" if state == "ok" else f"{state}, paused"
    return name, trigger_text(sproc), state, sproc.metadata.description
