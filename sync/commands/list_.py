"""`luasprocs list`: the live sprocs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.language.triggers import described
from luasprocs.operations.listing import read_listing
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.language.sproc import Sproc


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_obj
def command(flags: dict[str, object], as_json: bool) -> None:
    """List the live sprocs: name, trigger, state, description."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        found = read_listing(session.registry)
    if as_json:
        for sproc in found.sprocs.values():
            console.json(found.as_json(sproc))
        return
    marks = found.marks
    console.table(
        ("name", "trigger", "state", "description"),
        [
            _row(name, found.sprocs.get(name), [mark for mark, names in marks.items() if name in names])
            for name in found.names
        ],
    )


def _row(name: str, sproc: Sproc | None, marks: list[str]) -> tuple[str, str, str, str]:
    """`sproc` is None where the list names one that isn't there, or is not a hash."""
    if sproc is None:
        return name, "?", "drift", ""
    return name, described(sproc.values), ", ".join(marks) or "ok", sproc.values.get("description", "")
