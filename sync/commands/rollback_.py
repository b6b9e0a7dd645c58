"""`luasprocs rollback`: back to an earlier generation, without git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.errors import RepositoryError
from sync.commands.sync_ import print_outcome
from sync.console import Console
from sync.reconcile.reconciler import rollback
from sync.session import Session

if TYPE_CHECKING:
    from sync.git.repository import Repository


@click.command("rollback")
@click.argument("generation", type=click.IntRange(1), required=False)
@click.option("--adopt", is_flag=True, help="Also where the registry belongs to another repository than the one here.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], generation: int | None, adopt: bool, as_json: bool) -> None:
    """Make live what was at GENERATION (default: the one before), as a new generation, pinned until the next sync."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        outcome = rollback(session.registry, generation, None if adopt else _repository(session))
    print_outcome(console, outcome, as_json=as_json, verb="rolled back")


def _repository(session: Session) -> Repository | None:
    """The one around here, if it can be used: a rollback works without."""
    try:
        session.repository.resolve()
    except RepositoryError:
        return None
    return session.repository
