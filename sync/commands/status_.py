"""`luasprocs status`: what is live, and whether it is what git wants."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from luasprocs.errors import RepositoryError
from luasprocs.registry.edits import edits_of
from luasprocs.server.info import warnings
from luasprocs.server.urls import redacted
from luasprocs.state.daemons import Running, read_running
from luasprocs.state.executions import time_text
from luasprocs.state.jobs import count_jobs
from sync.console import Console
from sync.reconcile.policy import Policy
from sync.reconcile.standing import Standing, read_standing
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.state.daemons import DaemonInfo
    from luasprocs.state.executions import Gap
    from sync.reconcile.desired import Desired

GAPS_SHOWN = 10


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], as_json: bool) -> int:
    """Show what is live: commit, generation, drift, daemons, gaps. The exit code is 1 if it is not in sync."""
    console, session = Console.of_process(), Session(flags)
    desired, unreadable = _desired(session)
    with session.named_errors():
        running = read_running(session.registry, GAPS_SHOWN)
        forbidden = partial(_forbidden, session, desired)
        standing = read_standing(session.registry, desired, unreadable, forbidden, followed=bool(running.alive))
        jobs = count_jobs(session.registry)
    if as_json:
        console.json({**_as_json(standing, running), "refused": standing.refused or None, "jobs": jobs})
    else:
        _print(console, session, standing.live, running)
        if any(jobs.values()):
            console.line(f"jobs        {', '.join(f'{count} {state}' for state, count in jobs.items())}")
        _print_state(console, standing, desired)
        if standing.as_wanted:
            console.line("in sync", "green")
        if standing.refused:
            console.line(f"refused     {standing.refused}", "red")
    for warning in (*warnings(standing.live.info), *running.faults):
        console.warn(warning)
    return 0 if standing.in_sync else 1


def _desired(session: Session) -> tuple[Desired | None, str]:
    """What the repository around here wants, or why nobody can tell; neither where there is no repository."""
    try:
        found = session.repository
    except RepositoryError:
        return None, ""
    try:
        found.resolve()
        return session.desired(None, worktree=False), ""
    except RepositoryError as error:
        return None, f"git: {error}"


def _forbidden(session: Session, desired: Desired | None, live: str) -> str:
    if desired is None:
        return ""
    return Policy.of(session.settings).refusal(session.repository, desired.commit, live, desired.folder)


def _as_json(standing: Standing, running: Running) -> dict[str, object]:
    live, revision = standing.live, standing.live.revision
    return {
        "commit": revision.commit or None,
        "generation": revision.generation,
        "branch": revision.branch or None,
        "applied_at": revision.applied_at or None,
        "count": len(live.sprocs),
        "in_sync": standing.in_sync,
        "drift": list(standing.drift),
        "pinned": revision.pinned or None,
        "daemons": [_daemon_json(daemon, running.now_ms) for daemon in running.daemons],
        "gaps": [_gap_json(gap) for gap in running.gaps],
    }


def _daemon_json(daemon: DaemonInfo, now_ms: int) -> dict[str, object]:
    return {
        "id": daemon.id,
        "host": daemon.host,
        "pid": daemon.pid,
        "alive": daemon.alive(now_ms),
        "age_ms": daemon.age_ms(now_ms),
        "started_at": time_text(daemon.started_s * 1000),
        "covers": dict(sorted(daemon.covers.items())),
        "lag": daemon.lag,
        "read": daemon.read,
        "runs": daemon.runs,
    }


def _gap_json(gap: Gap) -> dict[str, object]:
    return {
        "source": gap.source,
        "from": time_text(gap.from_ms),
        "to": time_text(gap.to_ms),
        "why": gap.why,
        "daemon": gap.daemon,
    }


def _print(console: Console, session: Session, live: Live, running: Running) -> None:
    """The server, what is applied there, and what runs it."""
    revision = live.revision
    console.line(f"server      {redacted(session.url)} ({live.info.kind} {'.'.join(map(str, live.info.version))})")
    if live.empty:
        console.line("registry    empty: run luasprocs sync")
    elif revision.commit:
        console.line(f"commit      {revision.commit[:10]} on {revision.branch or 'no branch'}")
        console.line(f"generation  {revision.generation}, applied {revision.applied_at[:19]}Z by {revision.applied_by}")
    else:
        console.line("commit      unknown: the registry's revision is missing", "red")
    if not live.empty:
        console.line(f"sprocs      {len(live.sprocs)}")
    for daemon in running.daemons:
        _print_daemon(console, daemon, running.now_ms)
    if live.triggers and not running.alive:
        console.line("daemons     none is alive, so no event runs: start one with luasprocs daemon", "yellow")
    for gap in running.gaps:
        console.line(
            f"gap         {gap.source} from {time_text(gap.from_ms)} to {time_text(gap.to_ms)}: {gap.why}", "yellow"
        )


def _print_daemon(console: Console, daemon: DaemonInfo, now_ms: int) -> None:
    age = f"last seen {daemon.age_ms(now_ms) / 1000:.1f} s ago"
    if not daemon.alive(now_ms):
        console.line(f"daemon      {daemon.id}: gone; {age}", "dim")
        return
    covered = f"{len(daemon.covers)} source{'s' if len(daemon.covers) != 1 else ''}"
    runs = f"{daemon.runs} run{'s' if daemon.runs != 1 else ''}"
    facts = f"pid {daemon.pid} on {daemon.host}, {covered}, lag {daemon.lag}, {runs} by events, {age}"
    console.line(f"daemon      {daemon.id}: {facts}")


def _print_state(console: Console, standing: Standing, desired: Desired | None) -> None:
    """Whether that is what git wants."""
    live = standing.live
    if live.empty:
        return
    if live.revision.pinned:
        console.line(
            f"pinned      rolled back from {live.revision.pinned[:10]}; the next luasprocs sync removes the pin",
            "yellow",
        )
    if standing.behind and desired:
        console.line(f"git         wants {desired.commit.sha[:10]}: luasprocs plan shows the difference", "yellow")
    for one in edits_of(live):
        console.line(f"edited      {one.name}, live, by {one.edit.by}; not committed yet", "yellow")
    for what in standing.drift:
        console.line(f"drift       {what}", "red")
