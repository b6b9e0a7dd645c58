"""`luasprocs execute`: runs a live sproc, recorded."""

from __future__ import annotations

import sys
from functools import partial
from itertools import takewhile
from typing import Any

import click
from redis.exceptions import ResponseError

from luasprocs.client import script_errors
from luasprocs.errors import NoSprocError
from luasprocs.registry import raw
from luasprocs.values import nearest, shown
from sync.console import Console
from sync.identity import applied_by
from sync.reply import as_json as reply_as_json
from sync.reply import formatted, plain
from sync.session import Session


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
@click.option("--json", "as_json", is_flag=True, help="The reply as JSON.")
@click.pass_obj
def command(flags: dict[str, object], name: str, args: tuple[str, ...], keys: tuple[str, ...], as_json: bool) -> None:
    """Run the live sproc NAME with ARG… as ARGV, and print its reply as redis-cli would.

    A -- stands before arguments that start with --.
    """
    console, session = Console.of_process(), Session(flags)
    with session.named_errors(), script_errors(name):
        try:
            reply = _run(console, session, name, [*map(raw, keys)], [*map(raw, args)])
        except ResponseError as error:
            if "unction not found" in str(error):
                raise NoSprocError(
                    f"no engine is loaded here, so no sproc named {name!r}: nothing was synced, or functions were "
                    "flushed; luasprocs sync loads it"
                ) from error
            raise session.named(error) from error
        print_reply(console, reply, as_json=as_json)


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
