"""`luasprocs status`: what is live, and what is wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from luasprocs.errors import ServerError
from luasprocs.operations.acknowledgeable import until_ms
from luasprocs.operations.findings import findings
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.snapshot import read_snapshot, without_server
from luasprocs.server.errors import errors_named
from luasprocs.server.urls import redacted
from luasprocs.state.acknowledged import acknowledge
from luasprocs.state.executions import time_text
from sync.console import Console
from sync.finding_lines import print_findings
from sync.reconcile.standing import standing_of
from sync.session import Session
from sync.wanted_here import desired_here, wanted_here

if TYPE_CHECKING:
    from luasprocs.operations.findings import Finding
    from luasprocs.operations.snapshot import ShardFacts, Snapshot
    from luasprocs.registry.live import Live
    from luasprocs.state.daemons import DaemonInfo, Running
    from luasprocs.state.executions import Gap
    from sync.reconcile.desired import Desired
    from sync.reconcile.standing import Standing

GAPS_SHOWN = 10


@click.command("status")
@click.option(
    "--acknowledge", "known", is_flag=True, help="The gaps and missed times so far are known: findings no more."
)
@click.option("--shard", metavar="TAG", help="Only this shard of a cluster, as luasprocs status lists them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], known: bool, shard: str | None, as_json: bool) -> int:
    """Show what is live and what is wrong, worst first. Exit code 1 if there is an error or a warning."""
    console, session = Console.of_process(), Session(flags, lenient=True)
    desired, unreadable = desired_here(session)
    read = partial(_read, session, desired, unreadable, shard)
    with session.named_errors():
        snapshot = session.settled(read)
        if known and (until := until_ms(snapshot)):
            acknowledge(session.registry, until, user_at_host())
            snapshot = session.settled(read)
    found, live = findings(snapshot), snapshot.live
    if live is None:
        if as_json:
            console.json({"findings": [one.as_json() for one in found]})
        else:
            print_findings(console, found)
        return 1
    standing = standing_of(snapshot, live)
    if as_json:
        console.json(_as_json(snapshot, live, standing, found))
    else:
        _print(console, session, snapshot, live)
        print_findings(console, found)
    well = standing.in_sync and not any(one.bad for one in found)
    if well and not as_json:
        console.line("in sync", "green")
    return 0 if well else 1


def _read(session: Session, desired: Desired | None, unreadable: str, shard: str | None) -> Snapshot:
    try:
        with errors_named(session.url):
            registry = session.shard(shard)
    except ServerError as error:
        return without_server(error)
    snapshot = read_snapshot(registry, session.url, len(desired.entries) if desired else 0)
    if (live := snapshot.live) is None:
        return snapshot
    return replace(snapshot, wanted=wanted_here(session, live, desired, unreadable))


def _as_json(snapshot: Snapshot, live: Live, standing: Standing, found: tuple[Finding, ...]) -> dict[str, object]:
    revision, running = live.revision, snapshot.running
    return {
        "commit": revision.commit or None,
        "generation": revision.generation,
        "branch": revision.branch or None,
        "applied_at": revision.applied_at or None,
        "count": len(live.sprocs),
        "in_sync": standing.in_sync,
        "drift": list(standing.drift),
        "pinned": revision.pinned or None,
        "shards": [_shard_json(one, running) for one in _shards(snapshot)],
        "daemons": [_daemon_json(daemon, snapshot) for daemon in running.daemons],
        "gaps": [_gap_json(gap) for gap in running.gaps[-GAPS_SHOWN:]],
        "refused": standing.refused or None,
        "jobs": _jobs(snapshot),
        "findings": [one.as_json() for one in found],
    }


def _shards(snapshot: Snapshot) -> tuple[ShardFacts, ...]:
    return snapshot.sprocs.shards if snapshot.sprocs else ()


def _shard_json(shard: ShardFacts, running: Running) -> dict[str, object]:
    return {
        "tag": shard.tag,
        "address": shard.address or None,
        "slots": [list(one) for one in shard.slots],
        "generation": shard.generation,
        "heard_by": list(running.hearing.get(shard.tag, ())),
        "problem": shard.problem or None,
    }


def _jobs(snapshot: Snapshot) -> dict[str, int]:
    return {"open": snapshot.open_jobs, "delayed": snapshot.delayed_jobs, "dead": snapshot.dead_jobs}


def _daemon_json(daemon: DaemonInfo, snapshot: Snapshot) -> dict[str, object]:
    now_ms = snapshot.running.now_ms
    return {
        "id": daemon.id,
        "host": daemon.host,
        "pid": daemon.pid,
        "alive": daemon.alive(now_ms) or (None if snapshot.refuses else False),
        "age_ms": daemon.age_ms(now_ms),
        "started_at": time_text(daemon.started_s * 1000),
        "covers": dict(sorted(daemon.covers.items())),
        "lag": daemon.lag,
        "read": daemon.read,
        "runs": daemon.runs,
        "ignored": daemon.ignored,
    }


def _gap_json(gap: Gap) -> dict[str, object]:
    return {
        "source": gap.source,
        "from": time_text(gap.from_ms),
        "to": time_text(gap.to_ms),
        "why": gap.why,
        "daemon": gap.daemon,
        "kind": gap.kind or None,
        "slots": gap.slots or None,
        "events": gap.events or None,
        "shard": gap.shard,
    }


def _print(console: Console, session: Session, snapshot: Snapshot, live: Live) -> None:
    """The server, what is applied there, and what runs it."""
    revision, running = live.revision, snapshot.running
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
    for shard in _shards(snapshot):
        slots = ", ".join(f"{one.first}-{one.last}" for one in shard.slots)
        state = shard.problem or f"generation {shard.generation or 'none'}"
        heard = f", heard by {', '.join(hearing)}" if (hearing := running.hearing.get(shard.tag)) else ""
        console.line(f"shard       {shard.tag} at {shard.address or '?'}, slots {slots}: {state}{heard}")
    for daemon in running.daemons:
        _print_daemon(console, daemon, snapshot)
    if any(_jobs(snapshot).values()):
        console.line(f"jobs        {', '.join(f'{count} {state}' for state, count in _jobs(snapshot).items())}")


def _print_daemon(console: Console, daemon: DaemonInfo, snapshot: Snapshot) -> None:
    running = snapshot.running
    age = f"last seen {daemon.age_ms(running.now_ms) / 1000:.1f} s ago"
    if not daemon.alive(running.now_ms):
        gone = "not known to be alive, as the server takes no writes" if snapshot.refuses else "gone"
        console.line(f"daemon      {daemon.id}: {gone}; {age}", "dim")
        return
    runs = f"{daemon.runs} run{'s' if daemon.runs != 1 else ''}"
    ignored = f", {daemon.ignored} messages ignored" if daemon.ignored else ""
    heard = _heard(daemon, running, len(_shards(snapshot)))
    facts = f"pid {daemon.pid} on {daemon.host}, {heard}, lag {daemon.lag}, {runs} by events{ignored}, {age}"
    console.line(f"daemon      {daemon.id}: {facts}")


def _heard(daemon: DaemonInfo, running: Running, shards: int) -> str:
    """`shards`: how many there are, those included that can't be reached."""
    hears = sum(daemon.id in ids for ids in running.hearing.values())
    if not hears and any(running.hearing.values()):
        return "others hear events"
    if shards > 1 and hears:
        return f"hears {hears} of {shards} shards"
    return f"{len(daemon.covers)} source{'s' if len(daemon.covers) != 1 else ''}"
