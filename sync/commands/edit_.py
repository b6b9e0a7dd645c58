"""`luasprocs edit`: changes a live sproc, at once; a daemon commits it."""

from __future__ import annotations

import tempfile
from functools import partial

import click

from luasprocs.errors import EditConflictError, ProblemsError, SettingsError
from luasprocs.language.values import shown
from luasprocs.operations.diff import unified
from luasprocs.operations.edit import edit, edit_metadata, undo
from luasprocs.operations.editor import in_editor
from luasprocs.operations.identity import author
from luasprocs.operations.sprocs import live_sproc
from sync.console import Console
from sync.git.config import run_git
from sync.session import Session


@click.command("edit")
@click.argument("name")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Set a header key; repeatable.")
@click.option("--unset", "unsets", metavar="KEY", multiple=True, help="Remove a header key; repeatable.")
@click.option("--undo", "undoing", is_flag=True, help="Return to git's source.")
@click.pass_obj
def command(flags: dict[str, object], name: str, sets: tuple[str, ...], unsets: tuple[str, ...], undoing: bool) -> int:
    """Change the live sproc NAME at once. A daemon that follows git commits the edit.

    Without --set, --unset or --undo the source opens in $VISUAL or $EDITOR.
    """
    if undoing and (sets or unsets):
        raise SettingsError("--undo goes back to what git has: leave out --set and --unset")
    console, session = Console.of_process(), Session(flags)
    by = author(partial(_configured, session))
    with session.named_errors():
        if undoing:
            revision = undo(session.registry, name, by=by)
            console.line(f"{name} is back to git's source, generation {revision.generation}")
            return 0
        sproc = live_sproc(session.registry, name)
        if sets or unsets:
            changes: dict[str, str | None] = dict(map(_pair, sets)) | dict.fromkeys(unsets)
            revision = edit_metadata(session.registry, name, changes, base=sproc.blob, by=by)
        else:
            source = in_editor(sproc.name, sproc.source)
            if source == sproc.source:
                console.line("nothing was changed")
                return 0
            try:
                revision = edit(session.registry, name, source, base=sproc.blob, by=by)
            except EditConflictError as error:
                _show_conflict(console, name, error.theirs, source)
                raise
            except ProblemsError:
                console.error(f"your text is saved in {_kept(source)}")
                raise
    console.line(f"{name} is edited live, generation {revision.generation}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingsError(f"--set {shown(text)} is not KEY=VALUE")
    return key.strip(), value.strip()


def _configured(session: Session, what: str) -> str:
    return run_git(session.settings.repo, "config", f"user.{what}").stdout.decode("utf-8", "replace").strip()


def _kept(source: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="luasprocs-", suffix=".lua", delete=False) as file:
        file.write(source)
    return file.name


def _show_conflict(console: Console, name: str, theirs: bytes, mine: bytes) -> None:
    """Both, as a diff."""
    console.line(f"{name} has changed meanwhile. The live text against yours ({_kept(mine)}):")
    for line in unified(theirs, mine, f"live/{name}", f"yours/{name}"):
        console.line(line)
