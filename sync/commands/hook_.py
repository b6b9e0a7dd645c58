"""`luasprocs hook`: git hooks, installed and run."""

from __future__ import annotations

import gc
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luasprocs.errors import LuasprocsError, ProblemsError
from sync.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TextIO

    from sync.git.repository import Repository
    from sync.reconcile.push import Receiver, Update
    from sync.session import Session

URL, PUSH_OPTIONS = "luasprocs.redis", "receive.advertisePushOptions"
URL_BEFORE = "luasprocshook.redisBefore"
"""Where the URL is kept that was set before; it comes back."""
MODE = "mode"
"""The rights that the file of git's settings had before."""
KINDS = click.Choice(["receive", "pre-commit"])


@click.group("hook")
def command() -> None:
    """Git hooks: `pre-commit` checks what is committed or merged; `receive` refuses or makes live what is pushed."""


@command.command("install")
@click.argument("kind", type=KINDS)
@click.option("--redis", metavar="URL", help="For receive: the server's URL, stored as git config luasprocs.redis.")
@click.pass_obj
def install_(flags: dict[str, object], kind: str, redis: str | None) -> None:
    """Install the hooks here. An existing hook is kept and runs first."""
    from sync.git.hooks import install, made_before, note  # noqa: PLC0415  # as in `run`: hooks must start fast
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
        made = _keep_url(console, repository, session, made_before(repository, kind))
        if not repository.setting(PUSH_OPTIONS)[0]:
            repository.configure(PUSH_OPTIONS, "true")
            made.append(PUSH_OPTIONS)
            console.line(f"git push -o prune-all is enabled ({PUSH_OPTIONS})")
        note(repository, kind, made)


@command.command("uninstall")
@click.argument("kind", type=KINDS)
@click.pass_obj
def uninstall_(flags: dict[str, object], kind: str) -> None:
    """Take the hooks away, and what their installation has set; what was there before comes back."""
    from sync.git.hooks import uninstall  # noqa: PLC0415
    from sync.git.pusher import FILE  # noqa: PLC0415
    from sync.session import Session  # noqa: PLC0415

    console, repository = Console.of_process(), Session(flags).repository
    done, made = uninstall(repository, kind)
    for said in done:
        console.line(said)
    before = repository.setting(URL_BEFORE)[1] if URL_BEFORE in made else ""
    for name in (name for name in made if "." in name):
        if repository.unset(name) and name != URL_BEFORE and not (before and name == URL):
            console.line(f"{name} is no longer set in {repository.config_file}")
    if before:
        repository.configure(URL, before)
        console.line(f"{URL} is again what it was, in {repository.config_file}")
    for word in made:
        if word.startswith(f"{MODE}="):
            repository.config_file.chmod(int(word.removeprefix(f"{MODE}="), 8))
    if kind == "receive":
        (repository.git_folder / FILE).unlink(missing_ok=True)
        if repository.setting(URL)[0] == "local" and not before:
            console.line(f"{URL} stays, as this installation has not set it: git config --unset {URL}")


@command.command("run", hidden=True)
@click.argument("hook", type=click.Choice(["pre-receive", "post-receive"]))
@click.option("--git", "git_pid", type=int, help="The process that runs both hooks: this one waits for the second.")
@click.pass_obj
def run_(flags: dict[str, object], hook: str, git_pid: int | None) -> int:
    """What git starts."""
    gc.disable()  # measured: 16 ms of what is imported, in a process that lives for a quarter of a second
    os.environ.pop("LUASPROCS_REPO", None)  # of whoever pushes; git says which repository this is
    console, given = Console.of_process(), sys.stdin.buffer.read()
    if hook == "post-receive":
        return _post_receive(console, given, lambda: _receiver(flags))
    receiver = _receiver(flags)
    code = _pre_receive(receiver, console, given)
    if code == 0 and git_pid is not None:
        _wait_for_post_receive(receiver, git_pid)
    return code


def _wait_for_post_receive(receiver: Receiver, git_pid: int) -> None:
    from sync.git.handover import wait_behind  # noqa: PLC0415  # as in `install_`

    def taken() -> Receiver:
        receiver.taken()
        return receiver

    def answer(given: bytes, out: TextIO) -> None:
        _post_receive(Console(out, out, terminal=False, colour=False), given, taken)

    sys.stdout.flush()
    sys.stderr.flush()
    wait_behind(Path(os.environ.get("GIT_DIR", ".")), git_pid, answer)


def _pre_receive(receiver: Receiver, console: Console, given: bytes) -> int:
    from sync.git.pusher import note_push, pusher  # noqa: PLC0415  # as in `install_`

    update, _ = _followed(receiver, given)
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
    if verdict.problems or verdict.refusal:
        return 1
    note_push(receiver.repository.git_folder, update.new, pusher(os.environ))
    return 0


def _post_receive(console: Console, given: bytes, receiver_of: Callable[[], Receiver]) -> int:
    """Always 0: the push is done, whatever becomes of it."""
    try:
        receiver = receiver_of()
        update, branches = _followed(receiver, given)
        if update is not None and update.new:
            _make_live(receiver, console)
        elif update is not None:
            console.line(f"luasprocs: {receiver.branch} was deleted: nothing is pruned")
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


def _receiver(flags: dict[str, object]) -> Receiver:
    from sync.reconcile.push import Receiver  # noqa: PLC0415  # 150 ms, which `check` needn't pay

    return Receiver(flags, os.environ)


def _followed(receiver: Receiver, given: bytes) -> tuple[Update | None, int]:
    """The followed branch's update, and how many branches the push moves."""
    from sync.reconcile.push import read_updates  # noqa: PLC0415  # as in `_receiver`

    updates = read_updates(given)
    return receiver.of_branch(updates), sum(update.ref.startswith("refs/heads/") for update in updates)


def _keep_url(console: Console, repository: Repository, session: Session, made_before: Collection[str]) -> list[str]:
    """Puts a URL that the installer named where hooks find it, whoever pushes. Returns what was set."""
    settings = session.settings
    source = settings.source("redis")
    if source not in {"--redis", "LUASPROCS_REDIS"}:
        console.line(f"Redis is {settings.redis_shown}, by {source}")
        return []
    path, closed, made = repository.config_file, "", [URL]
    if settings.redis_shown != settings.redis:
        mode = stat.S_IMODE(path.stat().st_mode)
        kept = mode & (0o660 if repository.setting("core.sharedRepository")[0] else 0o600)
        if kept != mode:
            path.chmod(kept)
            made.append(f"{MODE}={mode:o}")
            closed = f", which may hold a password; its mode is now {kept:o}"
    scope, before = repository.setting(URL)
    if scope == "local" and URL not in made_before:
        if before == settings.redis:
            made.remove(URL)
        else:
            made.append(URL_BEFORE)
            repository.configure(URL_BEFORE, before)
    repository.configure(URL, settings.redis)
    console.line(f"Redis is {settings.redis_shown}, kept in {path}{closed}")
    return made
