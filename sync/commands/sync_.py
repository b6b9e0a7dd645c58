"""`luasprocs sync`: makes Redis equal to a commit."""

from __future__ import annotations

import sys
import time

import click

from luasprocs.errors import RegistryError
from luasprocs.language.values import some_of
from luasprocs.registry.plan import SyncOutcome
from luasprocs.state.desired import read_suspended
from sync.console import Console
from sync.reconcile.policy import Policy
from sync.reconcile.syncer import Options, Syncer
from sync.session import Session

PROGRESS_AFTER_S = 1.0
_BAR_WIDTH = 30
LINES = 50
"""Names of each kind that are printed; a first sync may have thousands."""


def require_not_suspended(session: Session) -> None:
    """Raises RegistryError while syncs are suspended."""
    if suspended := read_suspended(session.registry):
        raise RegistryError(f"syncs are suspended {suspended}: luasprocs unsuspend allows them")


class Progress:
    """A bar on standard error, once a sync takes over a second on a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        """Draws `done` of `total`."""
        if sys.stderr.isatty() and time.monotonic() - self._started > PROGRESS_AFTER_S:
            filled = _BAR_WIDTH * done // max(1, total)
            print(
                f"\r[{'#' * filled:<{_BAR_WIDTH}}] {done}/{total} compiled",
                end="",
                file=sys.stderr,
                flush=True,
            )
            self._drawn = True

    def close(self) -> None:
        """Takes the bar away."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def print_outcome(
    console: Console, outcome: SyncOutcome, *, as_json: bool, verb: str = "synced", verbose: bool = False
) -> None:
    """What a sync or a rollback did."""
    plan = outcome.plan
    if as_json:
        console.json(
            {
                "commit": outcome.commit,
                "generation": outcome.generation,
                "created": plan.created,
                "updated": plan.updated,
                "deleted": plan.deleted,
                "unchanged": plan.unchanged,
                "duration_ms": outcome.duration_ms,
                "warnings": outcome.warnings,
            }
        )
        return
    for sign, style, names in (
        ("+", "green", plan.created),
        ("~", "yellow", plan.updated),
        ("-", "red", plan.deleted),
    ):
        for name in names if verbose else names[:LINES]:
            console.line(f"{sign} {name}", style)
        if len(names) > LINES and not verbose:
            console.line(f"{sign} … {len(names) - LINES:,} more (--verbose shows all)", style)
    for name in plan.overwritten:
        console.line(f"! replaced the live edit of {name}", "yellow")
    for name in plan.edited:
        merge = "git has changed it, too: merge them with edit --merge, or " if name in plan.overtaken else ""
        console.line(f"! kept the live edit of {name} ({merge}replace it with sync --discard-edits)", "yellow")
    if plan.held:
        out = f"! a rollback {outcome.pin} keeps out what git has of {some_of(plan.held)}"
        console.line(f"{out} (luasprocs sync or luasprocs unpin lets it in)", "yellow")
    for repair in (*(f"{name} was changed by hand" for name in plan.drifted), *plan.repairs):
        console.line(f"! repaired: {repair}", "yellow")
    for warning in outcome.warnings[:LINES]:
        console.line(f"! {warning}", "yellow")
    what = f"{len(plan.created)} created, {len(plan.updated)} updated, {len(plan.deleted)} deleted, {plan.unchanged} unchanged"
    head = f"{verb} {outcome.commit[:10]}" if outcome.changed else f"in sync with {outcome.commit[:10]}"
    console.line(f"{head} as generation {outcome.generation}: {what} ({outcome.duration_ms} ms)")


@click.command("sync")
@click.option("--revision", metavar="REV", help="A branch, tag or commit [default: what is checked out].")
@click.option("--worktree", is_flag=True, help="Use the saved files, committed or not.")
@click.option("--no-prune", is_flag=True, help="Keep live sprocs that the commit doesn't have.")
@click.option("--prune-all", is_flag=True, help="Allow removing any number of sprocs.")
@click.option("--adopt", is_flag=True, help="Take over a registry of another repository, or an engine of another db.")
@click.option("--discard-edits", is_flag=True, help="Replace live edits that are not committed yet.")
@click.option("-v", "--verbose", is_flag=True, help="List every name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    flags: dict[str, object],
    revision: str | None,
    worktree: bool,
    no_prune: bool,
    prune_all: bool,
    adopt: bool,
    discard_edits: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Make Redis equal to a commit: compile everything that changed, apply it in one MULTI, read it back."""
    console, session = Console.of_process(), Session(flags)
    desired = session.desired(revision, worktree=worktree)
    for problem in desired.passed_over:
        console.warn(str(problem))
    options = Options(not no_prune, prune_all, adopt, Policy.of(session.settings), discard_edits)
    progress = Progress()
    try:
        with session.named_errors():
            require_not_suspended(session)
            outcome = Syncer(session.registry, session.repository, options, progress).sync(desired)
    finally:
        progress.close()
    print_outcome(console, outcome, as_json=as_json, verbose=verbose)
