"""`luasprocs daemon`: keeps a registry in sync and runs sprocs."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from luasprocs.contract.codes import DesiredState
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError, RepositoryError, SettingsError
from luasprocs.runtime.daemon import Daemon
from luasprocs.runtime.identity import Identity
from luasprocs.runtime.log import log
from luasprocs.runtime.process import serve
from luasprocs.runtime.upkeep import Retention
from luasprocs.runtime.workers import WorkerRules
from sync.console import Console
from sync.git.config import without_secrets
from sync.reconcile.policy import Policy
from sync.service.awaited import HANGS_AFTER_S, Awaited, Opening
from sync.service.degraded import hanging
from sync.service.follower import Follower
from sync.service.logs import log_to_stderr
from sync.service.namespace import Chosen, choose, fetched, guessed
from sync.service.observer import Observer
from sync.service.rules import Rules
from sync.service.sources import FETCH_TIMEOUT_S, Checkout, Mirror
from sync.service.supervisor import Supervisor
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sync.service.reconciliation import Reconciliation
    from sync.service.sources import Source
    from sync.service.supervisor import Part
    from sync.settings import HostSettings


@click.command("daemon")
@click.option(
    "--branch", metavar="B", help="The branch to follow [default: the one checked out; in a bare repository, HEAD]."
)
@click.option("--worktree", is_flag=True, help="Follow the saved files instead of commits, for development.")
@click.option("--remote", metavar="URL", help="Mirror and follow a remote: https, ssh or file.")
@click.option("--revision", metavar="REV", help="With --remote: a tag or a commit instead of a branch.")
@click.option("--once", is_flag=True, help="Sync once and exit: 0 for success, 1 for broken sprocs, 2 for failure.")
@click.option("--no-sync", is_flag=True, help="Only run sprocs.")
@click.option("--no-runtime", is_flag=True, help="Only sync.")
@click.pass_obj
def command(
    flags: dict[str, object],
    branch: str | None,
    worktree: bool,
    remote: str | None,
    revision: str | None,
    once: bool,
    no_sync: bool,
    no_runtime: bool,
) -> int:
    """Keep Redis equal to a git branch and run sprocs on events and schedules, until SIGTERM.

    Run as many as you like: two of them hear events (LUASPROCS_LISTENERS), the others stand by.
    """
    if no_sync and (once or no_runtime or worktree or remote):
        raise SettingsError("--no-sync can't be combined with --once, --no-runtime, --worktree or --remote")
    given = {"branch": branch, "remote": remote}
    flags = {**flags, **{name: value for name, value in given.items() if value is not None}}
    start = _Start(flags, worktree=worktree, revision=revision, follows=not no_sync)
    opening = Opening(start.open)
    try:
        session, source = opening.future.result(None if once else HANGS_AFTER_S)
    except (TimeoutError, RepositoryError) as error:
        if isinstance(error, RepositoryError) and (once or no_runtime or not start.is_live()):
            raise
        code, found = _without_git(start, opening, error, runtime=not no_runtime)
        if found is None:
            return code
        session, source = found
    if source is None:
        return run_daemon(session, session.url, Chosen(session.keys))
    settings = session.settings
    if once:
        keys = Keys(settings.namespace) if settings.namespace is not None else fetched(source, FETCH_TIMEOUT_S)
        return _once(session, keys, source)
    chosen = choose(session.url, settings.namespace, source)
    return run_daemon(session, session.url, chosen, source, runtime=not no_runtime)


class _Start:
    """Settings and source of a daemon. git tells both, and it may not answer.

    `session`: the last whose settings were read. `keys`: of the registry, once git or the host has named it.
    """

    def __init__(self, flags: Mapping[str, object], *, worktree: bool, revision: str | None, follows: bool) -> None:
        self.flags, self.follows = flags, follows
        self.session: Session | None = None
        self.keys: Keys | None = None
        self._worktree, self._revision = worktree, revision

    def open(self) -> tuple[Session, Source | None]:
        exposed: list[str] = []  # said as the settings want it, once they are read
        session = Session(self.flags, warn=exposed.append)
        log_to_stderr(session.settings.log_format)
        if self.session is None:
            for said in exposed:
                log.warning("%s", said)
        self.session = session
        if not self.follows:
            self.keys = session.keys
            return session, None
        source = source_of(session, worktree=self._worktree, revision=self._revision)
        with contextlib.suppress(LuasprocsError):
            wanted = source.desired()  # whether git answers; what it says is asked for again
            given = session.settings.namespace
            self.keys = Keys(wanted.settings.namespace if given is None else given)
        return session, source

    def is_live(self) -> bool:
        """Whether anything was ever applied here; then it is to run, also if git can't be read."""
        if self.session is None:
            return False
        with self.session.named_errors():
            return bool(self.session.registry.client.exists(self.session.registry.keys.revision))


_Opened: TypeAlias = "tuple[Session, Source | None]"
_RUN_BY = (
    *(
        "redis",
        "executions_limit",
        "executions_age_ms",
        "workers",
        "listeners",
        "files",
        "writable",
        "lua_path",
        "allow",
    ),
    *("http", "webhook_secret", "interval_ms"),
)
"""The settings that all but the sync go by."""


def _without_git(
    start: _Start, opening: Opening[_Opened], error: Exception, *, runtime: bool
) -> tuple[int, _Opened | None]:
    """Runs what is live until git answers, and goes on with what it says; if that changes what runs here, it is returned.

    Else the exit code is.
    """
    session = start.session or Session(start.flags, near=True)
    settings = session.settings
    if start.session is None:
        log_to_stderr(settings.log_format)
    hangs = hanging(opening.since_s)
    if isinstance(error, RepositoryError):
        chosen, why, under_way = Chosen(session.keys), str(error), None
    elif "redis" not in settings.sources:
        log.warning(
            "%s Nothing begins until it does, unless --redis, LUASPROCS_REDIS or --config says where Redis is", hangs
        )
        return 0, opening.future.result()
    else:
        place = (settings.repo or Path.cwd()).absolute()
        names = [without_secrets(settings.remote)] if settings.remote else list(map(str, (place, *place.parents)))
        chosen, why, under_way = guessed(session.url, settings.namespace, names, hangs), hangs, opening
    awaited = Awaited(session.url, chosen.keys, start.open, why, under_way, follows=start.follows)

    def opened(supervisor: Supervisor, found: _Opened) -> bool:
        """A daemon that ends, to begin again, misses events if it is the only one."""
        now, source = found
        if chosen.keys != start.keys or any(getattr(now.settings, name) != getattr(settings, name) for name in _RUN_BY):
            return False
        if source is not None:
            supervisor.follow(_follower(now.settings, now.url, Chosen(chosen.keys), source, supervisor.name))
        return True

    awaited.opened = opened
    code = run_daemon(session, session.url, chosen, runtime=runtime, beside=awaited)
    return code, awaited.found


def source_of(session: Session, *, worktree: bool = False, revision: str | None = None) -> Source:
    """The source that the settings name."""
    settings = session.settings
    if settings.remote:
        if worktree:
            raise SettingsError("--worktree follows files on disk, --remote a remote: give one of them")
        if revision and settings.branch:
            raise SettingsError("--revision and --branch name two things to follow: give one of them")
        wanted = revision or (f"refs/heads/{settings.branch}" if settings.branch else None)
        return Mirror(settings.remote, settings.mirror.absolute(), wanted)
    if revision:
        raise SettingsError("--revision is for a --remote: a daemon follows a branch of the repository here")
    if worktree and session.repository.bare:
        raise RepositoryError("a bare repository has no work tree: leave out --worktree")
    return Checkout(session.repository, settings.branch, worktree=worktree)


def run_daemon(
    session: Session,
    url: str,
    chosen: Chosen,
    source: Source | None = None,
    *,
    runtime: bool = True,
    beside: Part | None = None,
) -> int:
    """Runs a daemon by the host's settings; it syncs if `source`. `beside`: another part to run. Returns the exit code."""
    while True:
        supervisor = _supervisor(session, url, chosen, source, runtime=runtime)
        if beside is not None:
            supervisor.add(beside)
        if isinstance(beside, Awaited):
            beside.supervisor = supervisor
        try:
            code = serve(supervisor)
        except* SettingsError as group:
            raise group.exceptions[0] from None
        if supervisor.elsewhere is None:
            return code
        chosen = Chosen(Keys(supervisor.elsewhere))


def _supervisor(session: Session, url: str, chosen: Chosen, source: Source | None, *, runtime: bool) -> Supervisor:
    settings, keys = session.settings, chosen.keys
    daemon = _runtime(settings, url, keys) if runtime else None
    name = daemon.identity.id if daemon else Identity.of_process().id
    supervisor = Supervisor(daemon, _follower(settings, url, chosen, source, name) if source else None, name)
    observer = Observer(url, keys, supervisor)
    supervisor.add(observer)
    if settings.http:
        from sync.service.http import Http  # noqa: PLC0415  # 20 MB, which a daemon without it needn't hold

        secret = settings.webhook_secret
        supervisor.add(Http(settings.http, secret, observer, supervisor, settings.interval_ms / 1000))
    return supervisor


def _follower(settings: HostSettings, url: str, chosen: Chosen, source: Source, name: str) -> Follower:
    rules = Rules(settings.heal, Policy.of(settings), settings.live_edits, movable=not chosen.sure)
    return Follower(url, chosen.keys, source, rules, name, settings.interval_ms / 1000)


def _runtime(settings: HostSettings, url: str, keys: Keys) -> Daemon:
    return Daemon(
        url,
        keys,
        Retention(settings.executions_limit, settings.executions_age_ms),
        WorkerRules(
            count=settings.workers,
            folder=settings.files_at(Path.cwd()),
            writable=tuple(path.absolute() for path in settings.writable),
            lua_path=settings.lua_path,
            allow=settings.allow,
        ),
        listeners=settings.listeners,
    )


def _once(session: Session, keys: Keys, source: Source) -> int:
    follower = Follower(
        session.url,
        keys,
        source,
        Rules(session.settings.heal, Policy.of(session.settings)),
        Identity.of_process().id,
        0,
    )
    done = asyncio.run(follower.once())
    console = Console.of_process()
    state = done.state
    if state.problems:
        for problem in state.problems:
            console.error(problem)
        return 1
    if state.state != DesiredState.SYNCED:
        console.error(f"{state.state}: {state.reason}")
        return 2
    if done.healed:
        console.warn(f"repaired: {', '.join(done.healed)}")
    console.line(_said(done))
    return 0


def _said(done: Reconciliation) -> str:
    return f"synced {done.summary}" if done.applied else f"in sync with {done.state.commit[:10]}"
