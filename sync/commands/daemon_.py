"""`luasprocs daemon`: the service."""

from __future__ import annotations

import logging
import sys

import click
from redis.connection import parse_url

from luasprocs.errors import SettingsError
from luasprocs.keys import Keys
from luasprocs.runtime.daemon import Daemon
from luasprocs.runtime.service import serve
from luasprocs.runtime.workers import WorkerRules
from sync.session import Session


@click.command("daemon")
@click.option("--no-sync", is_flag=True, help="Run sprocs only; syncing is left to others.")
@click.pass_obj
def command(flags: dict[str, object], no_sync: bool) -> int:
    """Run sprocs when keys change, until SIGTERM. Any number of daemons may run: each event runs once."""
    if not no_sync:
        raise SettingsError(
            "this version's daemon runs sprocs and does not sync: say --no-sync, and sync by luasprocs sync"
        )
    session = Session(flags)
    log_to_stderr()
    return run_daemon(session, session.url, session.keys)


def run_daemon(session: Session, url: str, keys: Keys) -> int:
    """Runs one by the host's settings. Returns the exit code."""
    settings = session.settings
    daemon = Daemon(
        url,
        keys,
        int(parse_url(url).get("db") or 0),
        executions_limit=settings.executions_limit,
        executions_age_ms=settings.executions_age_ms,
        workers=WorkerRules(
            count=settings.workers,
            folder=settings.files.absolute(),
            writable=tuple(path.absolute() for path in settings.writable),
            lua_path=settings.lua_path,
            allow=settings.allow,
        ),
    )
    return serve(daemon)


def log_to_stderr() -> None:
    """What the daemon says, a line each with its time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("luasprocs.daemon")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
