"""`luasprocs hook`: git hooks, installed and run."""

from __future__ import annotations

import gc
import os
import stat
import sys
from typing import TYPE_CHECKING

import click

from luasprocs.errors import LuasprocsError, ProblemsError
from sync.console import Console

if TYPE_CHECKING:
    from sync.git.repository import Repository
    from sync.reconcile.push import Receiver, Update
    from sync.session import Session

KINDS = click.Choice(["receive", "pre-commit"])


@click.group("hook")
def command() -> None:
    """Install git hooks. `pre-commit` checks each commit; `receive` checks each push and makes it live."""


@command.command("install")
@click.argument("kind", type=KINDS)
@click.option("--redis", metavar="URL", help="For receive: the server's URL, stored as git config luasprocs.redis.")
@click.pass_obj
def install_(flags: dict[str, object], kind: str, redis: str | None) -> None:
    """Install the hooks here. An existing hook is kept and runs first."""
    from sync.git.hooks import install  # noqa: PLC0415  # as in `run`: hooks must start fast
    from sync.session import Session  # noqa: PLC0415

    console, session = Console.of_process(), Session({**flags, **({"redis": redis} if redis else {})})
    repository = session.repository
    settings = session.settings  # read before anything is changed: it may be wrong
    for said in install(repository, kind):
        console.line(said)
    if kind == "receive":
        branch = settings.branch or repository.branch
        console.line(
            f"follows {branch}" if branch else "follows no branch: HEAD is detached, and luasprocs.branch not set"
        )
        console.line(_keep_url(repository, session))
        if not repository.config_scope("receive.advertisePushOptions"):
            repository.configure("receive.advertisePushOptions", "true")
            console.line("git push -o prune-all is enabled (receive.advertisePushOptions)")


@command.command("uninstall")
@click.argument("kind", type=KINDS)
@click.pass_obj
def uninstall_(flags: dict[str, object], kind: str) -> None:
    """Remove the hooks, and restore earlier ones. Settings stay."""
    from sync.git.hooks import uninstall  # noqa: PLC0415
    from sync.session import Session  # noqa: PLC0415

    console = Console.of_process()
    for said in uninstall(Session(flags).repository, kind):
        console.line(said)


@command.command("run", hidden=True)
@click.argument("hook", type=click.Choice(["pre-receive", "post-receive"]))
@click.pass_obj
def run_(flags: dict[str, object], hook: str) -> int:
    """What git starts."""
    gc.disable()  # measured: 16 ms of what is imported, in a process that lives for a quarter of a second
    os.environ.pop("LUASPROCS_REPO", None)  # of whoever pushes; git says which repository this is
    console = Console.of_process()
    return _pre_receive(flags, console) if hook == "pre-receive" else _post_receive(flags, console)


def _pre_receive(flags: dict[str, object], console: Console) -> int:
    receiver, update, _ = _receiver(flags)
    if update is None or not update.new:
        return 0
    verdict = receiver.judge(update)
    if verdict.unsure:
        console.warn(f"not compared with what is live: {verdict.unsure}")
    if verdict.problems:
        console.problems(verdict.problems)
        console.error("push refused: see the problems above (luasprocs check finds them before a commit)")
    if verdict.refusal:
        console.error(f"push refused: {verdict.refusal}")
    return 1 if verdict.problems or verdict.refusal else 0


def _post_receive(flags: dict[str, object], console: Console) -> int:
    """Always 0: the push is done, whatever becomes of it."""
    try:
        receiver, update, branches = _receiver(flags)
        if update is not None and update.new:
            _make_live(receiver, console)
        elif update is not None:
            console.line(f"luasprocs: {receiver.branch} was deleted; nothing is pruned, what is live stays")
        elif branches:
            console.line(f"luasprocs: nothing changes: the followed branch is {receiver.branch or 'none'}")
    except ProblemsError as error:
        console.problems(error.problems)
        console.error("not live: the sprocs above are broken")
    except Exception as error:  # noqa: BLE001  # whatever it is, the one who pushes must hear that it isn't live
        from sync.reconcile.push import reason  # noqa: PLC0415

        said = reason(error) if isinstance(error, LuasprocsError) else f"{type(error).__name__}: {error}"
        console.error(f"push accepted, but not live: {said}")
        console.error("a daemon, or luasprocs sync in this repository, makes it live")
    return 0


def _make_live(receiver: Receiver, console: Console) -> None:
    from sync.commands.sync_ import print_outcome  # noqa: PLC0415

    done = receiver.apply()
    if isinstance(done, str):
        console.line(f"luasprocs: {done}")
    else:
        verb = f"synced by {done.by}:" if done.by else "synced"
        print_outcome(console, done.outcome, as_json=False, verb=verb)


def _receiver(flags: dict[str, object]) -> tuple[Receiver, Update | None, int]:
    """With the followed branch's update, and how many branches the push moved."""
    from sync.reconcile.push import Receiver, read_updates  # noqa: PLC0415  # 150 ms, which `check` needn't pay

    updates = read_updates(sys.stdin.buffer.read())
    receiver = Receiver(flags, os.environ)
    return receiver, receiver.of_branch(updates), sum(update.ref.startswith("refs/heads/") for update in updates)


def _keep_url(repository: Repository, session: Session) -> str:
    """Puts a URL that the installer named where hooks find it, whoever pushes. Returns what was done."""
    settings = session.settings
    source = settings.source("redis")
    if source not in {"--redis", "LUASPROCS_REDIS"}:
        return f"Redis is {settings.redis_shown}, by {source}"
    path, closed = repository.config_file, ""
    if settings.redis_shown != settings.redis:
        mode = stat.S_IMODE(path.stat().st_mode)
        kept = mode & (0o660 if repository.config_scope("core.sharedRepository") else 0o600)
        if kept != mode:
            path.chmod(kept)
            closed = f", which may hold a password; its mode is now {kept:o}"
    repository.configure("luasprocs.redis", settings.redis)
    return f"Redis is {settings.redis_shown}, kept in {path}{closed}"
