"""`luasprocs plan`: what sync would do. Writes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from luasprocs.errors import EngineVersionError, OwnerError, ProblemsError
from luasprocs.operations.diff import difference_of
from luasprocs.registry.live import read_sprocs
from luasprocs.registry.pins import pin_of
from luasprocs.state.desired import read_suspended
from sync.console import Console
from sync.reconcile.desired_sprocs import check_sprocs
from sync.reconcile.desired_sprocs import read_sprocs as read_desired
from sync.reconcile.policy import Policy
from sync.reconcile.syncer import Options, Prepared, Syncer
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.language.sproc import Sproc


@click.command("plan")
@click.option("--revision", metavar="REV", help="A branch, tag or commit [default: what is checked out].")
@click.option("--worktree", is_flag=True, help="Use the saved files, committed or not.")
@click.option("--no-prune", is_flag=True, help="Plan for sync --no-prune.")
@click.option("--prune-all", is_flag=True, help="Plan for sync --prune-all.")
@click.option("--adopt", is_flag=True, help="Plan for sync --adopt.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(
    flags: dict[str, object],
    revision: str | None,
    worktree: bool,
    no_prune: bool,
    prune_all: bool,
    adopt: bool,
    as_json: bool,
) -> int:
    """Show what sync would do, as a unified diff. The exit code is 1 if there are changes."""
    console, session = Console.of_process(), Session(flags)
    desired = session.desired(revision, worktree=worktree)
    for problem in desired.passed_over:
        console.warn(str(problem))
    started = time.monotonic()
    with session.named_errors():
        options = Options(not no_prune, prune_all, adopt, Policy.of(session.settings))
        syncer = Syncer(session.registry, session.repository, options)
        try:
            prepared = syncer.prepare(desired)
            plan = prepared.plan
            wanted = read_desired(session.repository, desired, plan.names_changed)
            check_sprocs(session.repository, desired, wanted)
            syncer.check_functions(desired, prepared, wanted)
        except (OwnerError, EngineVersionError, ProblemsError) as error:
            if as_json:
                nothing: dict[str, list[str]] = {"created": [], "updated": [], "deleted": []}
                console.json({"commit": desired.commit.sha, **nothing, "refused": str(error)})
            raise
        if not prepared.refusal:
            prepared = prepared._replace(refusal=_refusal(session, prepared))
        there = {sproc.name: sproc for sproc in read_sprocs(session.registry, (*plan.updated, *plan.deleted))}
    if as_json:
        console.json(_as_json(prepared, desired.commit.sha, round((time.monotonic() - started) * 1000)))
    else:
        _print(console, prepared, {sproc.name: sproc for sproc in wanted}, there)
    if prepared.refusal:
        console.warn(f"sync would refuse: {prepared.refusal}")
    return 1 if plan else 0


def _refusal(session: Session, prepared: Prepared) -> str:
    """Why no sync is applied now, whatever it is about, or ""."""
    if suspended := read_suspended(session.registry):
        return f"syncs are suspended {suspended}: luasprocs unsuspend"
    live = prepared.live
    refuses = [one.info.refuses for one in (live, *live.siblings) if one.info.refuses] if prepared.plan else []
    return f"the server takes no writes: {refuses[0]}" if refuses else ""


def _as_json(prepared: Prepared, commit: str, duration_ms: int) -> dict[str, object]:
    plan = prepared.plan
    return {
        "commit": commit,
        "generation": prepared.live.revision.generation,
        "created": plan.created,
        "updated": plan.updated,
        "deleted": plan.deleted,
        "unchanged": plan.unchanged,
        "duration_ms": duration_ms,
        "drift": plan.drifted,
        "repairs": plan.repairs,
        "refused": prepared.refusal or None,
    }


def _print(console: Console, prepared: Prepared, wanted: Mapping[str, Sproc], there: Mapping[str, Sproc]) -> None:
    plan = prepared.plan
    for name in sorted({*plan.created, *plan.updated, *plan.deleted}):
        old, new = there.get(name), wanted.get(name)
        for line in difference_of(name, old.source if old else None, new.source if new else None):
            console.diff_line(line)
    for repair in plan.repairs:
        console.line(f"! to repair: {repair}", "yellow")
    for name in plan.edited:
        waits = ", and git has changed it, too" if name in plan.overtaken else ""
        console.line(f"! edited live, not committed{waits}: {name}", "yellow")
    pin = pin_of(prepared.live.revision)
    for name in sorted(pin.blobs.keys() & {*plan.created, *plan.updated, *plan.deleted}):
        console.line(f"! a rollback {pin} keeps this out, and sync lifts that: {name}", "yellow")
    for name in plan.drifted:
        console.line(f"! changed by hand: {name}", "yellow")
    if not plan:
        console.line(f"nothing to do: {plan.unchanged} unchanged")
        return
    console.line(
        f"{len(plan.created)} to create, {len(plan.updated)} to update, {len(plan.deleted)} to delete, "
        f"{plan.unchanged} unchanged"
    )
