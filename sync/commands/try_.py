"""`luasprocs try`: runs a file on a throw-away server, with the work tree's sprocs around it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from redis import Redis

from luasprocs.client import command as fcall
from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import ProblemsError
from luasprocs.language.compiler import syntax_problems
from luasprocs.language.sproc import Sproc
from luasprocs.registry.apply import apply
from luasprocs.registry.live import read_live
from luasprocs.registry.transaction import Change
from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.registry import Registry
from luasprocs.server.script_errors import script_errors
from sync.commands.execute_ import RunCommand, print_reply
from sync.console import Console
from sync.reconcile.check import work_tree_sprocs


@click.command("try", cls=RunCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--key", "keys", multiple=True, help="A key, KEYS[1] and on; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="The reply as JSON.")
@click.pass_obj
def command(flags: dict[str, str], file: Path, args: tuple[str, ...], keys: tuple[str, ...], as_json: bool) -> None:
    """Run FILE on a throw-away embedded server with the work tree's sprocs, and print its reply.

    A -- stands before arguments that start with --.
    """
    console = Console.of_process()
    name, sprocs = work_tree_sprocs(file)
    call = fcall(Keys(), name, [*map(raw, keys)], [*map(raw, args)])
    with (
        tempfile.TemporaryDirectory(prefix="luasprocs-try-") as folder,
        EmbeddedServer(Path(folder), persistent=False) as server,
        connect(server.url) as client,
    ):
        _load(client, sprocs, name, str(file))
        with script_errors(name):
            print_reply(console, client.execute_command(*call), as_json=as_json)


def _load(client: Redis, sprocs: list[Sproc], name: str, path: str) -> None:
    """Makes them live; of the others a broken one is left out, of the file itself every problem is said."""
    problems = [problem for sproc in sprocs if sproc.name == name for problem in syntax_problems(path, sproc.source)]
    if problems:
        raise ProblemsError(problems)
    whole = [sproc for sproc in sprocs if not syntax_problems(sproc.name, sproc.source)]
    change = Change(
        commit="",
        branch="",
        owner="try",
        author="",
        subject="",
        applied_by="",
        put=tuple(whole),
        deleted=(),
        names=tuple(sorted(sproc.name for sproc in whole)),
    )
    apply(Registry(client, Keys()), read_live(Registry(client, Keys())), change)
