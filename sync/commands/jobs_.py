"""`luasprocs jobs`: async jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import click

from luasprocs.contract.codes import JobState
from luasprocs.errors import JobError
from luasprocs.state import jobs
from luasprocs.state.paused import read_paused
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

MANY = 100_000


def _listing(act: Callable[..., None]) -> Callable[..., None]:
    """The ways to say what is listed, and how."""
    act = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")(act)
    act = click.option("--shard", metavar="TAG", help="Only this shard of a cluster, as luasprocs status lists them.")(
        act
    )
    states = ", ".join(jobs.STATES)
    act = click.option(
        "--state", metavar="STATE", type=click.Choice(jobs.STATES), help=f"Only jobs in this state: {states}."
    )(act)
    return click.option("--sproc", metavar="NAME", help="Only jobs of this sproc.")(act)


@click.group("jobs", invoke_without_command=True)
@_listing
@click.pass_context
def command(context: click.Context, /, **which: Any) -> None:
    """Manage async jobs, and retries of failed runs. Without a subcommand, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_, **which)
    elif any(which.values()):
        given = next(f"--{name.removeprefix('as_')}" for name, value in which.items() if value)
        raise click.UsageError(f"put {given} after the subcommand: luasprocs jobs list {given}")


@command.command("list")
@_listing
@click.pass_obj
def list_(
    flags: dict[str, object],
    sproc: str | None = None,
    state: str | None = None,
    shard: str | None = None,
    as_json: bool = False,
) -> None:
    """List the jobs: running, queued, waiting for their sproc's turn, delayed until a retry, dead."""
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        everything = jobs.read_jobs(session.shard(shard))
        paused = read_paused(session.registry)
    found = [job for job in everything if state in {None, job.state} and sproc in {None, job.sproc}]
    if as_json:
        for job in found:
            console.json(job._asdict())
        return
    if not found:
        console.nothing("no jobs")
        return
    console.table(
        ("id", "sproc", "state", "attempt", "age", "said"),
        [(job.id, job.sproc, job.shown_state, job.attempt, _age(job), _said(job, paused)) for job in found],
    )


def _age(job: jobs.JobRecord) -> str:
    seconds = max(0, int(time.time() - job.enqueued_ms / 1000))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _said(job: jobs.JobRecord, paused: Collection[str]) -> str:
    if job.sproc in paused and job.state in {JobState.WAITING, JobState.DELAYED}:
        return "its sproc is paused: luasprocs resume"
    match job.state:
        case "running":
            return f"on {job.daemon}" + (", which sends no heartbeats" if job.stalled else "")
        case "delayed":
            return f"again in {max(0, job.due_ms / 1000 - time.time()):.1f} s"
        case "dead":
            return job.error
    return " ".join((*job.keys, *job.args))


def _chosen(*states: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The ways to say which jobs."""

    def given(act: Callable[..., None]) -> Callable[..., None]:
        act = click.option(
            "--state", type=click.Choice(states), help="With --sproc or --all: jobs in this state instead of dead ones."
        )(act)
        act = click.option("--all", "every", is_flag=True, help="All dead jobs.")(act)
        act = click.option("--sproc", metavar="NAME", help="All dead jobs of this sproc.")(act)
        return click.argument("ids", metavar="[ID]…", nargs=-1)(act)

    return given


@command.command("retry")
@_chosen("dead", "delayed")
@click.pass_obj
def retry(flags: dict[str, object], /, **which: Any) -> None:
    """Run dead jobs again, with a fresh count of tries, and delayed ones now."""
    _each(flags, "retry", "queued again", **which)


@command.command("drop")
@_chosen("dead", "delayed", "waiting", "queued")
@click.pass_obj
def drop(flags: dict[str, object], /, **which: Any) -> None:
    """Delete jobs that are not running."""
    _each(flags, "drop", "dropped", **which)


def _each(
    flags: dict[str, object],
    action: Literal["retry", "drop"],
    done: str,
    ids: tuple[str, ...],
    sproc: str | None,
    every: bool,
    state: str | None,
) -> None:
    if [bool(ids), sproc is not None, every].count(True) != 1:
        raise click.UsageError("name job ids (luasprocs jobs list), --sproc NAME or --all")
    if ids and state:
        raise click.UsageError("--state needs --sproc or --all; leave it out with ids")
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), session.changing("jobs list"):
        state = state or ("" if ids else "dead")
        if ids:
            wanted: Sequence[str] = ids
        else:
            found = [job for job in jobs.read_jobs(session.registry, MANY) if job.state == state]
            wanted = [job.id for job in found if sproc in {None, job.sproc}]
        if not wanted:
            console.nothing(f"no {state} jobs" + (f" of {sproc}" if sproc is not None else ""))
        refused = []
        for job_id, was in jobs.act(session.registry, action, wanted, state):
            if isinstance(was, JobError):
                refused.append(was)
            else:
                console.line(f"{job_id} was {was}: {done}")
        if refused and ids:
            raise JobError("\n".join(map(str, refused)))
        if refused:  # somebody else was there first
            console.line(f"{len(refused)} no longer {state}: not changed")
