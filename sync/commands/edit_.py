"""`luasprocs edit`: changes a live sproc, at once; a daemon commits it."""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile

import click

from luasprocs.errors import EditConflictError, NoSprocError, ProblemsError, SettingsError
from luasprocs.language.values import shown
from luasprocs.operations.editor import in_editor
from luasprocs.registry.edits import edit, edit_metadata, undo
from luasprocs.registry.live import read_sprocs
from sync.console import Console
from sync.git.identity import applied_by
from sync.session import Session


@click.command("edit")
@click.argument("name")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="A key of the header; may be repeated.")
@click.option("--unset", "unsets", metavar="KEY", multiple=True, help="Takes a key out; may be repeated.")
@click.option("--undo", "undoing", is_flag=True, help="Back to what git has.")
@click.pass_obj
def command(flags: dict[str, object], name: str, sets: tuple[str, ...], unsets: tuple[str, ...], undoing: bool) -> int:
    """Change the live sproc NAME: it acts at once, and a daemon that follows git commits it to its file.

    Without --set, --unset or --undo the source opens in $VISUAL or $EDITOR.
    """
    if undoing and (sets or unsets):
        raise SettingsError("--undo goes back to what git has: leave out --set and --unset")
    console, session = Console.of_process(), Session(flags)
    by = _author(session)
    with session.named_errors():
        if undoing:
            revision = undo(session.registry, name, by=by)
            console.line(f"{name} is as git has it again, generation {revision.generation}")
            return 0
        found = read_sprocs(session.registry, [name])
        if not found:
            raise NoSprocError(f"no sproc named {name!r} is live: see luasprocs list")
        [sproc] = found
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
                console.error(f"what you wrote is kept in {_kept(source)}")
                raise
    console.line(f"{name} is edited live, generation {revision.generation}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingsError(f"--set {shown(text)} is no KEY=VALUE")
    return key.strip(), value.strip()


def _author(session: Session) -> str:
    """As git would name who commits here; else user@host."""
    name, mail = os.environ.get("GIT_AUTHOR_NAME", ""), os.environ.get("GIT_AUTHOR_EMAIL", "")
    if not (name and mail):
        asked = [
            subprocess.run(
                ["git", "config", f"user.{what}"],
                cwd=session.settings.repo,
                capture_output=True,
                text=True,
                check=False,
            ).stdout.strip()
            for what in ("name", "email")
        ]
        name, mail = name or asked[0], mail or asked[1]
    return f"{name} <{mail}>" if name and mail else applied_by()


def _kept(source: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="luasprocs-", suffix=".lua", delete=False) as file:
        file.write(source)
    return file.name


def _show_conflict(console: Console, name: str, theirs: bytes, mine: bytes) -> None:
    """Both, as a diff."""
    console.line(f"{name} was changed while you edited it; what is live now, and what you wrote ({_kept(mine)}):")
    lines = (theirs.decode("utf-8", "replace").splitlines(), mine.decode("utf-8", "replace").splitlines())
    for line in difflib.unified_diff(*lines, f"live/{name}", f"yours/{name}", lineterm=""):
        console.line(line)
