"""`luasprocs execute`: runs a live sproc, recorded."""

from __future__ import annotations

import math
import secrets
import sys
import time
from dataclasses import asdict
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click
from redis.exceptions import ResponseError

from luasprocs.client import enqueue_command
from luasprocs.contract.encoding import raw, text
from luasprocs.contract.refusals import Refusal
from luasprocs.errors import NoSprocError
from luasprocs.language.values import nearest, shown
from luasprocs.server.errors import is_no_function
from luasprocs.server.registry import Registry
from luasprocs.server.script_errors import readable_error, refusal, script_errors
from luasprocs.state.daemons import read_running
from luasprocs.state.executions import newest_id, read_executions
from luasprocs.state.jobs import read_jobs
from luasprocs.state.paused import read_paused
from sync.console import Console
from sync.git.identity import applied_by
from sync.reply import as_json as reply_as_json
from sync.reply import formatted, plain
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.state.executions import Execution

POLL_S = 0.02
WARN_AFTER_S = 3.0
NO_DAEMON = "no daemon is alive: luasprocs daemon runs it"


class RunCommand(click.Command):
    """A command that passes arguments on to a sproc, `-10k` and `-rank` too; only `--words` must be its own options.

    So it has no one-letter options: such arguments would be taken apart for them.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.context_settings = {"ignore_unknown_options": True, "help_option_names": ["--help"]}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses a mistyped option, which would be an argument else."""
        options = {name: one for one in self.get_params(ctx) if isinstance(one, click.Option) for name in one.opts}
        words = iter(args)
        for word in takewhile(lambda word: word != "--", words):
            name, equals, _ = word.partition("=")
            if name in options and not equals and not options[name].is_flag:
                next(words, None)  # its value, whatever it looks like
            elif name.startswith("--") and name not in options:
                hint = nearest(name, options)
                ctx.fail(f"No such option {shown(name)}: write -- before arguments that start with --{hint}")
        return super().parse_args(ctx, args)


@click.command("execute", cls=RunCommand)
@click.argument("name")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--key", "keys", multiple=True, help="A key, KEYS[1] and on; may be repeated.")
@click.option("--wait", "waiting", is_flag=True, help="Wait for the end of an async one, and print what it recorded.")
@click.option("--json", "as_json", is_flag=True, help="The reply as JSON.")
@click.pass_obj
def command(
    flags: dict[str, object], name: str, args: tuple[str, ...], keys: tuple[str, ...], waiting: bool, as_json: bool
) -> int:
    """Run the live sproc NAME with ARG… as ARGV, and print its reply as redis-cli would.

    An async one is enqueued, and the job's id printed. A -- stands before arguments that start with --.
    """
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), script_errors(name):
        try:
            reply = _run(console, session, name, [*map(raw, keys)], [*map(raw, args)])
        except ResponseError as error:
            if refusal(error) is Refusal.ASYNC:
                return _enqueue(console, session, name, (keys, args), waiting=waiting, as_json=as_json)
            if is_no_function(error):
                raise NoSprocError(
                    f"no engine is loaded here, so no sproc named {name!r}: nothing was synced, or functions were "
                    "flushed; luasprocs sync loads it"
                ) from error
            raise session.named(error) from error
        print_reply(console, reply, as_json=as_json)
    return 0


def _enqueue(
    console: Console,
    session: Session,
    name: str,
    words: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    waiting: bool,
    as_json: bool,
) -> int:
    """Enqueues an async run; `waiting`: until its record is there. Returns the exit code."""
    keys, args = ([*map(raw, some)] for some in words)
    origin = f"{applied_by()}/{secrets.token_hex(4)}"  # by which its record is found
    since_ms = int(newest_id(session.registry).partition("-")[0])
    reply = session.client.execute_command(*enqueue_command(session.keys, name, keys, args, origin))
    if reply is None:
        console.error(f"{name} runs already, and its overlap is skip: nothing was enqueued")
        return 1
    if not waiting:
        if _nobody_runs(session):
            console.warn(NO_DAEMON)
        console.json({"job": text(reply)}) if as_json else console.line(text(reply))
        return 0
    record = _record_of(console, session, (name, text(reply)), origin, since_ms)
    if as_json:
        console.json({"job": text(reply), **asdict(record)})
    elif record.status == "ok":
        console.line(record.reply)
    else:
        said = readable_error(record.error)
        console.error(said if said.startswith(f"{record.status}:") else f"{record.status}: {said}")
    return 0 if record.status == "ok" else 1


def _record_of(console: Console, session: Session, job: tuple[str, str], origin: str, since_ms: int) -> Execution:
    """The record of the last try of a job (its sproc, its id), however long that takes."""
    client, keys, (name, job_id) = session.client, session.keys, job
    warn_at, told = time.monotonic() + WARN_AFTER_S, 0
    over = False
    while True:
        found = read_executions(Registry(client, keys), None, since_ms)
        tries = [one for one in found if (one.sproc, one.origin) == (name, origin)]
        if tries and (over or tries[-1].status == "ok"):
            return tries[-1]
        if tries and (over := _is_over(session, job_id)):
            continue  # what it did meanwhile is in its records
        if len(tries) > told:
            told = len(tries)
            console.warn(f"try {told} failed: {readable_error(tries[-1].error)}")
        if not tries and time.monotonic() > warn_at:
            warn_at = math.inf
            console.warn(f"{_why_not(session, name, job_id)}; Ctrl-C stops waiting")
        time.sleep(POLL_S)


def _why_not(session: Session, name: str, job_id: str) -> str:
    """Why a job may have no record yet."""
    if _nobody_runs(session):
        return f"it has not run yet: {NO_DAEMON}"
    if name in read_paused(session.registry):
        return "it has not run yet: it is paused: luasprocs resume"
    match next((job.state for job in read_jobs(session.registry) if job.id == job_id), ""):
        case "running":
            return "it runs and has not ended"
        case "waiting":
            return (
                "it has not run yet: it waits for an earlier run of it to end (luasprocs jobs), as its overlap is queue"
            )
    return "it has not run yet: the daemons have others to run, or run nothing (--no-runtime): luasprocs status tells"


def _nobody_runs(session: Session) -> bool:
    """Whether no daemon is alive; who may not know finds no fault."""
    try:
        return not read_running(session.registry).alive
    except ResponseError:
        return False


def _is_over(session: Session, job_id: str) -> bool:
    """Whether a job that failed is not tried again: it is dead, or was dropped, which two looks tell from one that just moves."""
    for _ in range(2):
        state = next((job.state for job in read_jobs(session.registry) if job.id == job_id), "")
        if state:
            return state == "dead"
        time.sleep(POLL_S)
    return True


def print_reply(console: Console, reply: Any, *, as_json: bool) -> None:
    """A reply as redis-cli prints it, or as JSON."""
    if as_json:
        console.json(reply_as_json(reply))
    elif console.terminal:
        console.line(formatted(reply))
    else:
        sys.stdout.buffer.write(plain(reply) + b"\n")


def _run(console: Console, session: Session, name: str, keys: list[bytes], args: list[bytes]) -> Any:
    """The reply of a recorded run; of one that isn't recorded, with a warning, where the user's ACL forbids records."""
    fcall = partial(session.client.execute_command, "FCALL")
    try:
        return fcall(session.keys.function("run"), len(keys), *keys, raw(name), raw(applied_by()), *args)
    except ResponseError as error:
        if not str(error).startswith("NORECORD"):
            raise
    console.warn("this run is not recorded: the user's ACL forbids it")
    return fcall(session.keys.function("execute"), len(keys), *keys, raw(name), *args)
