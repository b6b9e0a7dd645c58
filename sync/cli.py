"""The command line: `luasprocs [OPTIONS] COMMAND`.

One place maps errors to exit codes: 0 success, 1 problems found, 2 failure, 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

import click

from luasprocs.errors import LuasprocsError, ProblemsError
from luasprocs.language.spelling import near
from luasprocs.operations.terminal import escaped
from sync.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": "Create luasprocs.toml and a first sproc.",
    "check": "Check sprocs: header, Lua syntax, use of the sandbox.",
    "try": "Run a file on a throw-away server with the work tree's sprocs.",
    "plan": "Show what sync would do, as a diff.",
    "sync": "Make Redis equal to a commit.",
    "status": "Show what is live, and whether it matches git.",
    "history": "List the generations.",
    "rollback": "Go back to an earlier generation, without git.",
    "unpin": "Let come again what a rollback keeps out.",
    "list": "List the live sprocs.",
    "show": "Show one live sproc.",
    "edit": "Change a live sproc; a daemon commits it.",
    "execute": "Run a live sproc by name.",
    "logs": "Show recorded runs: by event, cron, async and luasprocs execute.",
    "cron": "Show schedules and their countdowns.",
    "jobs": "List, retry or drop async jobs.",
    "wait": "Wait until every event up to now has run.",
    "pause": "Stop a sproc's triggers.",
    "resume": "Start a sproc's triggers again.",
    "suspend": "Stop all syncs.",
    "unsuspend": "Allow syncs again.",
    "daemon": "Run the service: keep Redis equal to git, run sprocs on events and schedules.",
    "up": "Start an embedded Valkey and a daemon in this repository.",
    "hook": "Install git hooks that check commits, and make pushes live.",
    "acl": "Print the least-privilege ACL rule for a role.",
    "demo": "Take the whole tour, on an embedded server.",
    "lsp": "Run the language server, for an editor.",
    "debug": "Step through a sproc, in a screen or at a prompt.",
    "dap": "Run the debug adapter, for an editor.",
    "completion": "Print the completion script for a shell.",
}


class _Commands(click.Group):
    """Imports a command's module when it is used: redis and git cost 130 and 90 ms, and `check` needs neither."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        gc.disable()  # what is imported stays: to look through it for garbage takes 16 ms
        try:
            module = importlib.import_module(f"sync.commands.{cmd_name}_")
        finally:
            gc.freeze()
            gc.enable()
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            code: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Here, since click would end with 1. The reader (head, less) has what it wanted; Python would complain
            # again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and (meant := near(args[0], COMMANDS, count=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {meant[0]!r}?")
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--redis",
    metavar="URL",
    help="redis://, rediss://, unix://, redis+cluster:// or redis+sentinel:// (LUASPROCS_REDIS).",
)
@click.option("--namespace", metavar="NS", help="The registry's namespace, if it has one.")
@click.option("--repo", metavar="DIR", help="The git repository [default: the one that contains this folder].")
@click.option("--config", metavar="FILE", help="A TOML file with the host's settings.")
@click.option("--debug", is_flag=True, help="Show tracebacks (LUASPROCS_DEBUG).")
@click.version_option(package_name="luasprocs", prog_name="luasprocs")
@click.pass_context
def cli(
    ctx: click.Context,
    redis: str | None,
    namespace: str | None,
    repo: str | None,
    config: str | None,
    debug: bool,
) -> None:
    """Lua stored procedures for Redis and Valkey, kept in git."""
    flags = {"redis": redis, "namespace": namespace, "repo": repo, "config": config, "debug": debug or None}
    ctx.obj.update((name, value) for name, value in flags.items() if value is not None)


def main(args: Sequence[str] | None = None) -> None:
    """The console script; ends the process."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """Runs a command line. Returns the exit code."""
    console = Console.of_process()
    flags: dict[str, object] = {}
    try:
        code = cli.main(list(args), prog_name="luasprocs", standalone_mode=False, obj=flags)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        console.print(escaped(said.getvalue().rstrip("\n")), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        console.error("interrupted")
        return 130
    except Exception as error:  # noqa: BLE001  # the one place that turns what went wrong into a line and an exit code
        from sync.settings import debug_wanted  # noqa: PLC0415  # 20 ms, which what goes right needn't pay

        if debug_wanted(flags):
            import traceback  # noqa: PLC0415  # 1 ms

            console.out.flush()
            console.print(escaped("".join(traceback.format_exception(error)).rstrip("\n")), err=True)
        else:
            _show(console, error)
        return error.exit_code if isinstance(error, LuasprocsError) else 2
    return code if isinstance(code, int) else 0


def _show(console: Console, error: Exception) -> None:
    if isinstance(error, ProblemsError):
        console.problems(error.problems)
    elif isinstance(error, LuasprocsError):
        console.error(str(error))
    elif isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        console.error(f"{error.strerror or error}{place}")
    else:
        console.error(f"{type(error).__name__}: {error} (run with --debug for the traceback)")


if __name__ == "__main__":
    main()
