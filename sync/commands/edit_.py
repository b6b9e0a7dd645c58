"""`luasprocs edit`: changes a live sproc, at once; a daemon commits it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import click

from luasprocs.errors import EditConflictError, LuasprocsError, RegistryError, SettingsError
from luasprocs.language.values import shown
from luasprocs.operations.diff import unified
from luasprocs.operations.drafts import Draft, Drafts
from luasprocs.operations.edit import edit, edit_metadata, undo
from luasprocs.operations.editor import in_editor
from luasprocs.operations.identity import author
from luasprocs.operations.sprocs import live_sproc
from luasprocs.server.urls import redacted
from sync.console import Console
from sync.git.config import git_user
from sync.git.merge import has_marks
from sync.reconcile.overtaken import put_together
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.registry.revision import Revision
    from luasprocs.server.registry import Registry
    from sync.reconcile.overtaken import Overtaken

NOTHING_CHANGED = "nothing was changed"


@click.command("edit")
@click.argument("name")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Set a header key; repeatable.")
@click.option("--unset", "unsets", metavar="KEY", multiple=True, help="Remove a header key; repeatable.")
@click.option("--undo", "undoing", is_flag=True, help="Return to git's source.")
@click.option("--merge", "merging", is_flag=True, help="Merge the live edit with git's newer version of the file.")
@click.option("--drop", "dropping", is_flag=True, help="Drop the draft of an edit that was not applied.")
@click.pass_obj
def command(
    flags: dict[str, object],
    name: str,
    sets: tuple[str, ...],
    unsets: tuple[str, ...],
    undoing: bool,
    merging: bool,
    dropping: bool,
) -> None:
    """Change the live sproc NAME at once. A daemon that follows git commits the edit.

    Without an option the source opens in $VISUAL or $EDITOR: your draft of it, if an earlier edit was not applied.
    """
    if bool(sets or unsets) + undoing + merging + dropping > 1:
        raise SettingsError("--set and --unset, --undo, --merge, --drop do different things: give one of them")
    console, session = Console.of_process(), Session(flags)
    desired = session.desired(None, worktree=False) if merging else None
    by = author(partial(git_user, session.settings.repo))
    drafts = Drafts(f"{redacted(session.url)} {session.keys.namespace}")
    said = f"{name} is edited live"
    with session.named_errors():
        if dropping:
            drafts.drop(name)
            console.line(f"there is no draft of {name} any more")
            return
        if undoing:
            revision = undo(session.registry, name, by=by)
            said = f"{name} is as git has it"
        elif desired is not None:
            found = put_together(session.registry, session.repository, desired, name)
            revision = _merge(console, session.registry, drafts, found, by)
            said = f"{name} is edited live on top of {desired.commit.sha[:10]}"
        elif sets or unsets:
            sproc = live_sproc(session.registry, name)
            changes: dict[str, str | None] = dict(map(_pair, sets)) | dict.fromkeys(unsets)
            revision = edit_metadata(session.registry, name, changes, base=sproc.blob, by=by)
        else:
            with drafts.alone(name):
                revision = _edit(console, session.registry, drafts, name, by)
    console.line(f"{said}, generation {revision.generation}" if revision else NOTHING_CHANGED)


def _edit(console: Console, registry: Registry, drafts: Drafts, name: str, by: str) -> Revision | None:
    """Makes live what is written in the editor; None: nothing was changed."""
    sproc = live_sproc(registry, name)
    if (draft := drafts.of(name)) is not None:
        console.warn(f"this is your draft of before, from {draft.path} (luasprocs edit --drop {name} forgets it)")
    draft = draft or drafts.begin(name, sproc.blob, sproc.source)
    source = _written(drafts, draft, sproc.source)
    if source is None:
        return None
    with _keeping(console, draft):
        revision = edit(registry, name, source, base=draft.base, by=by)
    drafts.drop(name)
    return revision


def _written(drafts: Drafts, draft: Draft, live: bytes) -> bytes | None:
    """What was written in the editor; None for nothing: an unchanged file is no edit."""
    before = draft.source
    try:
        in_editor(draft.path)
    finally:
        source = draft.source
        if source == live:
            drafts.drop(draft.name)
    return None if source in {before, live} else source


@contextlib.contextmanager
def _keeping(console: Console, draft: Draft) -> Iterator[None]:
    """Says where what was written is, if it can't be applied; and shows both if somebody else was faster."""
    try:
        yield
    except EditConflictError as error:
        console.line(f"{draft.name} has changed meanwhile. The live text against yours ({draft.path}):")
        for line in unified(error.theirs, draft.source, f"live/{draft.name}", f"yours/{draft.name}"):
            console.line(line)
        raise
    except LuasprocsError:
        console.error(f"your text is saved in {draft.path}")
        raise


def _merge(console: Console, registry: Registry, drafts: Drafts, found: Overtaken, by: str) -> Revision | None:
    """Makes the merged source live; where both changed the same lines, after somebody has decided in an editor."""
    name, live, source = found.live.name, found.live.blob, found.merged.source
    if not found.merged.conflicts:
        return edit(registry, name, source, base=live, by=by, onto=found.git)
    if (old := drafts.of(name)) is not None:
        raise SettingsError(f"there is a draft of {name} in {old.path}: edit {name} applies it, edit --drop forgets it")
    draft = drafts.begin(name, live, source)
    with _keeping(console, draft):
        in_editor(draft.path)
        if has_marks(draft.source):
            raise RegistryError(f"{name} still has git's marks of a conflict: nothing was changed")
        revision = edit(registry, name, draft.source, base=live, by=by, onto=found.git)
    drafts.drop(name)
    return revision


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingsError(f"--set {shown(text)} is not KEY=VALUE")
    return key.strip(), value.strip()
