"""`luasprocs try`: runs a file on a throw-away server, with the work tree's sprocs around it."""

from __future__ import annotations

from pathlib import Path

import click

from luasprocs.contract.encoding import raw
from luasprocs.errors import ProblemsError
from luasprocs.language.compiler import syntax_problems
from luasprocs.operations.put import put
from luasprocs.server.script_errors import script_errors
from luasprocs.testing import Sandbox
from sync.commands.execute_ import RunCommand, print_reply
from sync.console import Console
from sync.reconcile.check import work_tree_sprocs


@click.command("try", cls=RunCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--key", "keys", multiple=True, help="A key: the first is KEYS[1]; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@click.pass_obj
def command(flags: dict[str, str], file: Path, args: tuple[str, ...], keys: tuple[str, ...], as_json: bool) -> None:
    """Run FILE on a throw-away embedded server with the work tree's sprocs, and print its reply.

    Put -- before arguments that start with --.
    """
    console = Console.of_process()
    name, sprocs = work_tree_sprocs(file)
    if problems := syntax_problems(str(file), next(one.source for one in sprocs if one.name == name)):
        raise ProblemsError(problems)
    with Sandbox() as sandbox:
        put(sandbox.registry, [one for one in sprocs if not syntax_problems(one.name, one.source)])
        with script_errors(name):
            reply = sandbox.call(name, [*map(raw, keys)], [*map(raw, args)])
            print_reply(console, reply, as_json=as_json)
