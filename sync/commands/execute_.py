"""`luasprocs execute`: runs a live sproc, recorded."""

from __future__ import annotations

import sys
from itertools import takewhile
from typing import Any

import click

from luasprocs.contract.codes import Status
from luasprocs.contract.encoding import raw
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.wait import Delay, daemon_alive, wait_for_job
from luasprocs.server.readable_errors import readable_error
from luasprocs.server.script_errors import script_errors
from sync.console import Console
from sync.reply import as_json as reply_as_json
from sync.reply import formatted, plain
from sync.session import Session

NO_DAEMON = "no daemon is alive: start one with luasprocs daemon"
_DELAYS = {
    Delay.NO_DAEMON: f"it has not run yet: {NO_DAEMON}",
    Delay.PAUSED: "it has not run yet: the sproc is paused (luasprocs resume)",
    Delay.RUNNING: "it is still running",
    Delay.TURN: "it has not run yet: it waits for an earlier run (luasprocs jobs), because of overlap=queue",
    Delay.BUSY: "it has not run yet: all daemons are busy or have --no-runtime (see luasprocs status)",
}


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
@click.option("--key", "keys", multiple=True, help="A key: the first is KEYS[1]; repeatable.")
@click.option("--wait", "waiting", is_flag=True, help="Wait until an async run ends, and print its record.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@click.pass_obj
def command(
    flags: dict[str, object], name: str, args: tuple[str, ...], keys: tuple[str, ...], waiting: bool, as_json: bool
) -> int:
    """Run the live sproc NAME with ARG… as ARGV, and print its reply as redis-cli would.

    An async sproc is enqueued; its job id is printed. Put -- before arguments that start with --.
    """
    console, session = Console.of_process(), Session(flags)
    with session.named_errors():
        with session.changing("logs"):
            done = run(session.registry, name, [*map(raw, keys)], [*map(raw, args)], by=user_at_host())
        if isinstance(done, Enqueued):
            return _say_enqueued(console, session, done, waiting=waiting, as_json=as_json)
        if not done.recorded:
            console.warn("this run is not recorded: the user's ACL forbids it, or the server takes no writes")
        with script_errors(name):  # it can be too deep to be printed, too
            print_reply(console, done.reply, as_json=as_json)
    return 0


def _say_enqueued(console: Console, session: Session, done: Enqueued, *, waiting: bool, as_json: bool) -> int:
    """Says what was enqueued; `waiting`: what it recorded at its end. Returns the exit code."""
    if done.job is None:
        console.error(f"nothing enqueued: {done.sproc} is running, and has overlap=skip")
        return 1
    if not waiting:
        if not daemon_alive(session.registry):
            console.warn(NO_DAEMON)
        console.json({"job": done.job}) if as_json else console.line(done.job)
        return 0
    record = wait_for_job(
        session.registry,
        done,
        tried=lambda number, one: console.warn(f"try {number} failed: {readable_error(one.error)}"),
        late=lambda why: console.warn(f"{_DELAYS[why]}; Ctrl-C stops waiting"),
    )
    if as_json:
        console.json({"job": done.job, **record._asdict()})
    elif record.status == Status.OK:
        console.line(record.reply)
    else:
        console.error(f"{record.status}: {readable_error(record.error)}")
    return 0 if record.status == Status.OK else 1


def print_reply(console: Console, reply: Any, *, as_json: bool) -> None:
    """A reply as redis-cli prints it, or as JSON."""
    if as_json:
        console.json(reply_as_json(reply))
    elif console.terminal:
        console.line(formatted(reply))
    else:
        sys.stdout.buffer.write(plain(reply) + b"\n")
