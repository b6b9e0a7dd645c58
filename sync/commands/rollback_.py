"""`luasprocs rollback`: back to an earlier generation, without git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from luasprocs.language.values import some_of
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.rollback import preview, rollback
from sync.commands.sync_ import print_outcome
from sync.console import Console
from sync.reconcile.ownership import owner_check
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.operations.rollback import Preview
    from luasprocs.registry.live import Live


@click.command("rollback")
@click.argument("generation", type=click.IntRange(1), required=False)
@click.option("--sproc", metavar="NAME", default="", help="Roll back one sproc [default: to before its last change].")
@click.option("--why", metavar="TEXT", default="", help="The reason, for the history and for messages about the pin.")
@click.option("--dry-run", is_flag=True, help="Show the difference, change nothing.")
@click.option("--adopt", is_flag=True, help="Also roll back a registry of another repository.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    flags: dict[str, object],
    generation: int | None,
    sproc: str,
    why: str,
    dry_run: bool,
    adopt: bool,
    as_json: bool,
) -> None:
    """Make GENERATION live again (default: the last one whose sprocs differ from what is live), as a new generation.

    What git has of the sprocs that change is kept out until git changes them, or somebody runs `sync` or `unpin`.
    """
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        if dry_run:
            _show(console, preview(session.registry, generation, sproc), as_json=as_json)
            return
        check = _anybody_s if adopt else owner_check(session.registry, lambda: session.repository)
        outcome = rollback(session.registry, generation, by=user_at_host(), why=why, sproc=sproc, check=check)
    print_outcome(console, outcome, as_json=as_json, verb="rolled back")
    if not as_json and (held := (*outcome.plan.names_changed, *outcome.plan.deleted)):
        console.line(f"{some_of(held)}: kept so until git changes them, or luasprocs sync, or luasprocs unpin", "dim")


def _show(console: Console, found: Preview, *, as_json: bool) -> None:
    """What a rollback would do."""
    plan, to = found.plan, found.to
    if as_json:
        changes = {"created": plan.created, "updated": plan.updated, "deleted": plan.deleted}
        generations = {"generation": found.live, "to": to.generation}
        console.json({"commit": to.commit, **generations, **changes, "unchanged": plan.unchanged})
        return
    for one in found.differences:
        if one.lost:
            console.line(f"! {one.name}: the source {one.lost[:10]} is not kept any more", "red")
        for line in one.lines("live", f"generation {to.generation}"):
            console.diff_line(line)
    what = f"{len(plan.created)} to create, {len(plan.updated)} to update, {len(plan.deleted)} to delete"
    for name in plan.overwritten:
        console.line(f"! replaces the live edit of {name}", "yellow")
    console.line(f"rollback to {to.generation} ({to.commit[:10]} {to.subject}): {what}, {plan.unchanged} unchanged")


def _anybody_s(live: Live) -> None:
    """What --adopt asks of what is live: nothing."""
