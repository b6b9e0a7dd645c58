"""`luasprocs up`: an embedded Valkey and a daemon, here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luasprocs.errors import LuasprocsError, PortTakenError, ProblemsError, ServerError, SettingsError
from luasprocs.operations.local_server import SERVER_FILE, published
from luasprocs.runtime.log import log
from luasprocs.runtime.log_once import LogOnce
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.embedded_cluster import EmbeddedCluster
from sync.commands.daemon_ import run_daemon, source_of
from sync.commands.sync_ import Progress, print_outcome
from sync.console import Console
from sync.reconcile.syncer import Options, Syncer
from sync.service.logs import log_to_stderr
from sync.service.namespace import Chosen
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_EVERY_S = 0.5
PORT_FILE = "port"
PORT_LIMIT = 65536


@click.command("up")
@click.option("--cluster", is_flag=True, help="Start a cluster of three primaries instead, to try sprocs on one.")
@click.pass_obj
def command(flags: dict[str, object], cluster: bool) -> int:
    """Start an embedded Valkey in the repository's .luasprocs, and a daemon that syncs and runs, until Ctrl-C or SIGTERM.

    Other commands in the repository find this server. Its data is kept for the next start.
    """
    if flags.get("redis") is not None:
        raise SettingsError("up starts a server of its own: leave out --redis, or run luasprocs daemon on that one")
    console, outer = Console.of_process(), Session(flags)
    top = outer.repository.path
    signal.signal(signal.SIGTERM, _end)  # until the daemon takes signals
    with _server(top / SERVER_FILE.parent, cluster=cluster) as server:
        session = Session({**flags, "redis": server.url})
        console.line(f"Valkey at {server.url}, its data in {server.folder}", "bold")
        source = outer.settings.sources.get("redis")
        if source and str(SERVER_FILE) not in source:
            console.warn(
                f"{source} names another server, which other commands will use: luasprocs --redis {server.url}"
            )
        _sync(console, session)
        _say_what_next(console, server)
        log_to_stderr(session.settings.log_format)
        return run_daemon(session, session.url, Chosen(session.keys), source_of(session), beside=_Reviver(server))


class _Reviver:
    """Starts the server again when it has ended by itself, killed for want of memory, say."""

    def __init__(self, server: EmbeddedServer | EmbeddedCluster) -> None:
        self._server = server
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        once = LogOnce()
        while not self._stopped.is_set():
            try:
                if await asyncio.to_thread(self._server.revive):
                    log.error(
                        "Valkey ended unexpectedly (see %s): restarted it",
                        self._server.log_path,
                    )
                once.forget("revive")
            except ServerError as error:
                once.say("revive", f"{error}; trying again", logging.ERROR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._stopped.wait()

    def stop(self) -> None:
        """`run` returns."""
        self._stopped.set()


def _end(*_: object) -> None:
    raise SystemExit(0)


@contextlib.contextmanager
def _server(folder: Path, *, cluster: bool) -> Iterator[EmbeddedServer | EmbeddedCluster]:
    """The server, and the file that tells other commands where it is, for as long as it runs."""
    server = EmbeddedCluster(folder / "cluster").start() if cluster else _started(folder)
    try:
        (folder / ".gitignore").write_text("*\n", encoding="ascii")
        if not cluster:
            (folder / PORT_FILE).write_text(f"{server.port}\n", encoding="ascii")
        with published(folder.parent, server.url):
            yield server
    finally:
        server.stop()


def _started(folder: Path) -> EmbeddedServer:
    """On the last time's port, so that what remembers the URL still finds it; on a free one where somebody took that."""
    try:
        port = int((folder / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = 0
    if 0 < port < PORT_LIMIT:
        with contextlib.suppress(PortTakenError):
            return EmbeddedServer(folder, port).start()
    return EmbeddedServer(folder).start()


def _sync(console: Console, session: Session) -> None:
    """Makes HEAD live. What is wrong is said, and nothing else: the daemon runs what is live, and a later sync may do better."""
    progress = Progress()
    try:
        desired = session.desired(None, worktree=False)
        with session.named_errors():
            outcome = Syncer(session.registry, session.repository, Options(keep_pin=True), progress).sync(desired)
    except ProblemsError as error:
        console.problems(error.problems)
    except LuasprocsError as error:
        console.error(str(error))
    else:
        print_outcome(console, outcome, as_json=False)
        return
    finally:
        progress.close()
    console.warn("HEAD is not live: fix it and commit again")


def _say_what_next(console: Console, server: EmbeddedServer | EmbeddedCluster) -> None:
    console.line(
        "Each commit here is live at once, and events run sprocs, until Ctrl-C. In another terminal, in this repository:"
    )
    console.line("  luasprocs status           what is live")
    console.line("  luasprocs execute NAME     run one")
    console.line("  luasprocs logs -f          what ran")
    cli = f"redis-cli {'-c ' if isinstance(server, EmbeddedCluster) else ''}-p {server.port}"
    console.line(f"  {cli:<27}the server itself")
    if console.terminal:
        console.line("  luasprocs-tui              the screen")
    console.out.flush()
