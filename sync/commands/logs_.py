"""`luasprocs logs`: what ran."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from luasprocs.errors import NoSprocError, RegistryError, ServerError, ServerUnreachableError, SettingsError
from luasprocs.language.metadata import typed
from luasprocs.language.values import duration_ms, shown
from luasprocs.operations.sprocs import live_sproc
from luasprocs.state.executions import STATUSES, TRIGGERS, RecordFilter, newest_ids, read_executions
from luasprocs.state.tails import Tails, follow
from sync.console import Console
from sync.execution_lines import Printer
from sync.session import Session

if TYPE_CHECKING:
    from redis import Redis

    from luasprocs.server.registry import Registry

COUNT = 20
RETRY_S = 1.0


@click.command("logs")
@click.option("-f", "--follow", "following", is_flag=True, help="Follow new runs until Ctrl-C.")
@click.option("--sproc", "sprocs", metavar="NAME", multiple=True, help="Only this sproc, or a glob; repeatable.")
@click.option(
    "--trigger",
    "triggers",
    multiple=True,
    type=click.Choice(TRIGGERS),
    metavar="KIND",
    help=f"Only this trigger: {', '.join(TRIGGERS)}; repeatable.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(STATUSES),
    metavar="STATUS",
    help=f"Only this status: {', '.join(STATUSES)}; repeatable.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Start here: 15m for the last 15 minutes, or an ISO time (UTC unless it has an offset).",
)
@click.option("--shard", metavar="TAG", help="Only this shard of a cluster, as luasprocs status lists them.")
@click.option("-n", "count", type=click.IntRange(0), help=f"Show the last N [default: {COUNT}; all with --since].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_obj
def command(
    flags: dict[str, object],
    following: bool,
    sprocs: tuple[str, ...],
    triggers: tuple[str, ...],
    statuses: tuple[str, ...],
    since: str | None,
    shard: str | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Show recorded runs and gaps, newest last. Recorded are runs by event, cron, async and `luasprocs execute`.

    In a pipe, separated by tabs: time, sproc, trigger, event, key, status, milliseconds, error or reply.
    """
    console, session = Console.of_process(), Session(flags)
    wanted = RecordFilter(sprocs, triggers, statuses)
    printer = Printer(console, as_json=as_json)
    with session.named_errors():
        since_ms = 0 if since is None else _since_ms(session.registry.client, since)
        registry = session.shard(shard)
        last_ids = newest_ids(registry)
        number = COUNT if count is None and since is None else count
        found = read_executions(registry, number, since_ms, until=last_ids, wanted=wanted)
        alone = len(sprocs) == 1 and not (found or triggers or statuses or since) and count != 0
        if alone and (why := _why_nothing(session.registry, sprocs[0])):
            console.warn(why)
    printer.show(found)
    if not following:
        return 0
    try:
        _Follower(console, session, printer, wanted, Tails(registry, last_ids)).run()
    except KeyboardInterrupt:
        return 130  # quietly: it is how one ends this
    return 0


def _why_nothing(registry: Registry, name: str) -> str:
    """Why a sproc may have no record: it isn't live, or its header says so. "" for a glob."""
    if set(name) & set("*?["):
        return ""
    try:
        record = typed(live_sproc(registry, name).values, "record")
    except (NoSprocError, RegistryError) as error:
        return str(error)
    return (
        "" if record == "all" else f"{name} has record={record} in its header: its runs are counted, not all recorded"
    )


@dataclass(slots=True)
class _Follower:
    """Prints what comes, until it is interrupted or nobody reads on. A lost connection is made again."""

    console: Console
    session: Session
    printer: Printer
    wanted: RecordFilter
    tails: Tails
    lost: bool = False

    def run(self) -> None:
        while True:
            try:
                self._follow()
            except ServerError as error:
                self._lost(error)
                time.sleep(RETRY_S)

    def _follow(self) -> None:
        with self.session.named_errors():
            for execution in follow(self.tails, idle=self._idle):
                self._back()
                if self.wanted(execution):
                    self.printer.show([execution])

    def _lost(self, error: ServerError) -> None:
        # A wrong password or a missing right won't go away by itself; the base class says LOADING, BUSY and their like.
        if type(error) not in {ServerError, ServerUnreachableError}:
            raise error
        if not self.lost:
            self.console.error(f"{error}; trying again")
        self.lost = True
        self._look_at_reader()

    def _back(self) -> None:
        if self.lost:
            self.console.error("connected again")
        self.lost = False

    def _idle(self) -> None:
        self._back()
        self._look_at_reader()

    def _look_at_reader(self) -> None:
        # While nothing is written, nothing else would say that nobody reads on (`| head -1`).
        poll = select.poll()
        poll.register(self.console.out.fileno(), 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            raise BrokenPipeError


def _since_ms(client: Redis, since: str) -> int:
    """A duration before the server's now, or a time."""
    try:
        ago_ms = duration_ms(since)
    except ValueError:
        return _time_ms(since)
    seconds, microseconds = client.time()
    return max(0, seconds * 1000 + microseconds // 1000 - ago_ms)


def _time_ms(since: str) -> int:
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        raise SettingsError(
            f"--since {shown(since)} is neither a duration (15m, 1h30m) nor a time (2026-01-31, 2026-01-31T12:00, …+02:00)"
        ) from None
    known = found if found.tzinfo else found.replace(tzinfo=UTC)
    return max(0, int(known.timestamp() * 1000))
