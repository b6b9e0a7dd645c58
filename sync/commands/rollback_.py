"""`luasprocs rollback`: back to an earlier generation, without git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.errors import RepositoryError
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.rollback import rollback
from sync.commands.sync_ import print_outcome
from sync.console import Console
from sync.reconcile.syncer import require_owner
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.registry.live import Live


@click.command("rollback")
@click.argument("generation", type=click.IntRange(1), required=False)
@click.option("--adopt", is_flag=True, help="Also roll back a registry of another repository.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], generation: int | None, adopt: bool, as_json: bool) -> None:
    """Make GENERATION live again (default: the previous one), as a new generation that is pinned until the next sync."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        outcome = rollback(session.registry, generation, by=user_at_host(), check=_check(session, adopt=adopt))
    print_outcome(console, outcome, as_json=as_json, verb="rolled back")


def _check(session: Session, *, adopt: bool) -> Callable[[Live], None]:
    """That the registry is the repository's around here, if that can be used: a rollback works without."""
    if not adopt:
        try:
            session.repository.resolve()
            return require_owner(session.registry, session.repository)
        except RepositoryError:
            pass
    return lambda live: None
