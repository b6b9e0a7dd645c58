"""`luasprocs-tui`: the command line of the screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from luasprocs.errors import LuasprocsError
from luasprocs.operations.contexts import Context, settings_file
from luasprocs.operations.exposure import exposure
from luasprocs.operations.terminal import escaped
from luasprocs.server.urls import checked, redacted
from luasprocs_tui import actions
from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import ScreenSettings, default_url, read_settings
from luasprocs_tui.threads import SWITCH_S

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--redis",
    "url",
    metavar="URL",
    envvar="LUASPROCS_REDIS",
    help="redis://, rediss://, unix://, redis+cluster:// or redis+sentinel:// (LUASPROCS_REDIS).",
)
@click.option(
    "--namespace",
    metavar="NS",
    envvar="LUASPROCS_NAMESPACE",
    default="",
    help="The registry's namespace (LUASPROCS_NAMESPACE).",
)
@click.option("--context", "name", metavar="NAME", help="A context of the settings, instead of --redis.")
@click.option("--theme", metavar="NAME", help="dark, light or contrast.")
@click.option("--read-only", is_flag=True, help="Forbid every change.")
@click.option(
    "--command", "command", metavar="NAME", default="", help="Start with a command: cron, jobs, 'filter -t cron', …"
)
@click.option("--serve", "address", metavar="HOST:PORT", help="Show it in a browser, read-only, behind a token.")
@click.option("--writable", is_flag=True, help="With --serve: allow changes.")
@click.version_option(package_name="luasprocs", prog_name="luasprocs-tui")
def cli(  # noqa: PLR0913, PLR0917  # click gives each option by name
    url: str | None,
    namespace: str,
    name: str | None,
    theme: str | None,
    read_only: bool,
    command: str,
    address: str | None,
    writable: bool,
) -> None:
    """Show the Lua sprocs that are live in Redis or Valkey.

    Without --redis and --context: the server that `luasprocs up` left running for this folder, else redis://127.0.0.1:6379/0.
    Contexts, theme and keys are read from ~/.config/luasprocs/screen.toml (LUASPROCS_SCREEN): see docs/screen.md.
    """
    settings = read_settings(settings_file(os.environ))
    context = _context(settings, name, url, namespace)
    if name is not None and context.url != redacted(context.url):
        said = exposure("a password of Redis", settings_file(os.environ))
        if said:
            click.echo(escaped(f"luasprocs-tui: warning: {said}"), err=True)
    if theme is not None:
        theme = _known("theme", theme, ("dark", "light", "contrast"))
    if command:
        _known("command", command.split(maxsplit=1)[0], tuple(actions.names()))
    if writable and (read_only or address is None):
        raise click.ClickException("--writable goes with --serve, and without --read-only")
    if address is not None:
        from luasprocs_tui.serve import serve  # noqa: PLC0415  # a web server, which a terminal doesn't need

        given = {"--namespace": context.namespace, "--context": name, "--theme": theme, "--command": command}
        arguments = [word for option, value in given.items() if value for word in (option, value)]
        serve(address, [*arguments, *([] if writable else ["--read-only"])], "" if name else context.url)
        return
    app = TuiApp(context, settings, read_only=read_only)
    if theme is not None:
        app.action_theme(theme)
    if "TEXTUAL_DRIVER" not in os.environ and not (
        sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()
    ):
        raise click.ClickException("needs a terminal; in a pipe use: luasprocs list")
    sys.setswitchinterval(SWITCH_S)
    if command:
        app.call_later(app.command, command)
    _run(app)


def _run(app: TuiApp) -> None:
    app.run()
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)


def _context(settings: ScreenSettings, name: str | None, url: str | None, namespace: str) -> Context:
    if name is None:
        context = Context("", url or default_url(Path.cwd()), namespace)
        checked(context.url)
        if namespace:
            from luasprocs.contract.keys import Keys  # noqa: PLC0415  # 12 ms, seldom needed before the first paint

            Keys(namespace)
        return context
    if url is not None and "LUASPROCS_REDIS" not in os.environ:
        raise click.ClickException("give --redis or --context, not both")
    return settings.contexts[_known("context", name, tuple(settings.contexts))]


def _known(kind: str, given: str, known: Sequence[str]) -> str:
    found = given.replace("_", "-") if kind == "command" else given
    if found not in known:
        raise click.ClickException(f"there is no {kind} {given!r}: take one of {', '.join(known) or '(none is set)'}")
    return found


def run(args: Sequence[str]) -> int:
    """Runs a command line. Returns the exit code: 0, 2 when it could not, 128 and a signal's number when that ended it."""
    try:
        return cli.main(list(args), prog_name="luasprocs-tui", standalone_mode=False) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.ClickException, LuasprocsError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(escaped(f"luasprocs-tui: {said}"), err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130


def main(args: Sequence[str] | None = None) -> None:
    sys.exit(run(sys.argv[1:] if args is None else args))
