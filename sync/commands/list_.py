"""`luasprocs list`: the live sprocs."""

from __future__ import annotations

import click

from luasprocs.language.sproc import Sproc
from luasprocs.language.triggers import described
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.state.paused import read_paused
from luasprocs.state.stats import read_stats
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
        failing = {name for name, one in read_stats(session.registry, live.sprocs).items() if one.failing}
    drift, edited = set(live.drift), {one.name for one in edits_of(live)}
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
                | {
                    "drift": sproc.name in drift,
                    "edited": sproc.name in edited,
                    "failing": sproc.name in failing,
                    "paused": sproc.name in paused,
                }
            )
        return
    found = {sproc.name: sproc for sproc in sprocs}
    disabled = {sproc.name for sproc in sprocs if not sproc.enabled}
    marks = {"drift": drift, "disabled": disabled, "edited": edited, "failing": failing, "paused": paused}
    console.table(
        ("name", "trigger", "state", "description"),
        [_row(name, found.get(name), [mark for mark, names in marks.items() if name in names]) for name in live.sprocs],
    )


def _row(name: str, sproc: Sproc | None, marks: list[str]) -> tuple[str, str, str, str]:
    """`sproc` is None where the list names one that isn't there, or is not a hash."""
    if sproc is None:
        return name, "?", "drift", ""
    return name, described(sproc.values), ", ".join(marks) or "ok", sproc.values.get("description", "")
