"""Live edits on their way back: one daemon of several commits them to the files that they are of."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luasprocs.errors import ProblemsError, RegistryError, RepositoryError
from luasprocs.language import header
from luasprocs.language.files import SOURCE_LIMIT_BYTES
from luasprocs.operations.edit import edit
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.terminal import Printable, in_a_line, is_hostile
from luasprocs.registry.edits import ABSENT, LiveEdit, blob_like, edits_of, parse_edit
from luasprocs.registry.live import read_sprocs
from luasprocs.registry.pins import pin_of
from luasprocs.server.registry import Registry
from sync.git.made_commit import Label, commit_files, why_dirty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired

CLAIM_MS = 10_000
WAYS_OUT = "luasprocs edit --merge puts both together, edit --undo or sync --discard-edits takes git's"
_PERSON = re.compile(r"[^<>\n]+ <[^<>\n]+>")


@dataclass(frozen=True, slots=True)
class Committed:
    """`sha`: of the commit that was made, "" for none; `waiting`: names that could not be committed, and why."""

    sha: str = ""
    waiting: Mapping[str, str] = field(default_factory=dict)


def new_claim() -> str:
    """What a daemon claims the commits of live edits by."""
    return f"{user_at_host()} {secrets.token_hex(8)}"


def commit_pending(
    registry: Registry, live: Live, repository: Repository, desired: Desired, *, claim: str, sign: bool = False
) -> Committed:
    """Commits what is edited live and not yet in git on the branch of `desired`, whose commit is its tip.

    `claim`: the same each time, so that a daemon doesn't wait for one of its own that was left by a lost connection.

    Raises:
        RepositoryError: git can't make the commit. redis.RedisError: the server can't be asked.
    """
    git, pin = desired.entries, pin_of(live.revision)
    edits = [one for one in edits_of(live, undone=True) if git.get(one.name) != live.sprocs[one.name].blob]
    held = {one.name: "a rollback holds it" for one in edits if pin.holds(one.name, git.get(one.name, ABSENT))}
    edits = [one for one in edits if one.name not in held]
    if not edits:
        return Committed("", held)
    if not desired.branch:
        return Committed("", held | {one.name: "no followed branch to commit to" for one in edits})
    if not _may_commit(registry, claim):  # another daemon is at it; why it can't must not depend on who says so last
        return Committed("", held | _hindered(registry, repository, desired, edits))
    try:
        done = _commit(registry, repository, desired, edits, sign=sign)
        return Committed(done.sha, held | dict(done.waiting))
    finally:
        if (
            registry.home.client.get(registry.home.keys.edit_claim) == claim.encode()
        ):  # one that took too long is another's by now
            registry.home.client.delete(registry.home.keys.edit_claim)


def _may_commit(registry: Registry, claim: str) -> bool:
    claims, key = registry.home.client, registry.home.keys.edit_claim
    return bool(claims.set(key, claim, nx=True, px=CLAIM_MS)) or claims.get(key) == claim.encode()


def _hindered(
    registry: Registry, repository: Repository, desired: Desired, edits: Sequence[LiveEdit]
) -> dict[str, str]:
    """Which of these nobody can commit, and why."""
    sprocs = {sproc.name: sproc for sproc in read_sprocs(registry, [one.name for one in edits])}
    there = (one for one in edits if one.name in sprocs)
    each = {one.name: _content(repository, desired, sprocs[one.name], one)[2] for one in there}
    return {name: why for name, why in each.items() if why}


def _content(repository: Repository, desired: Desired, sproc: Sproc, one: LiveEdit) -> tuple[bytes, bytes | None, str]:
    """As `_merged`; also why the file is not free for it."""
    content, onto, why = _merged(repository, desired, sproc, one)
    return content, onto, why or why_dirty(repository, desired.branch, desired.path(one.name), content)


def _commit(
    registry: Registry, repository: Repository, desired: Desired, edits: Sequence[LiveEdit], *, sign: bool
) -> Committed:
    sprocs = {sproc.name: sproc for sproc in read_sprocs(registry, [one.name for one in edits])}
    # Further edits may have come, or have gone.
    now = ((name, parse_edit(sproc.edit)) for name, sproc in sprocs.items())
    edits = [LiveEdit(name, edit) for name, edit in sorted(now) if edit]
    files: dict[str, bytes] = {}
    waiting: dict[str, str] = {}
    for one in edits:
        path = desired.path(one.name)
        content, onto, why = _content(repository, desired, sprocs[one.name], one)
        if not why and onto is not None:
            why = _live_too(registry, sprocs[one.name], content, onto, one.edit.by)
        if why:
            waiting[one.name] = why
        elif blob_like(git := desired.entries.get(one.name, ""), content) != git:
            files[path] = content
    if not files:
        return Committed("", waiting)
    done = [one for one in edits if desired.path(one.name) in files]
    people = list(dict.fromkeys(_person(one.edit.by) for one in done))
    label = Label(_message(repository, desired, sprocs, done), people[0], sign)
    sha = commit_files(repository, desired.branch, desired.commit.sha, files, label)
    return Committed(sha, waiting)


def _merged(repository: Repository, desired: Desired, sproc: Sproc, one: LiveEdit) -> tuple[bytes, bytes | None, str]:
    """What the file shall be; or why that can't be told. Where git has changed it too, the edit's header goes into git's file,
    which is the second then.
    """
    path = desired.path(one.name)
    theirs = repository.file(desired.commit.sha, path, SOURCE_LIMIT_BYTES)
    if theirs is None:
        if ABSENT in one.edit.blobs:
            return sproc.source, None, ""
        return b"", None, f"{path} is no longer in {desired.commit.sha[:10]}: {WAYS_OUT}"
    if blob_like(sproc.blob, theirs) in one.edit.blobs:
        return sproc.source, None, ""
    try:
        base = repository.blobs([one.edit.base])[one.edit.base] if one.edit.base else b""
        changes = _header_changes(base, sproc.source)
        in_base, in_git = header.values_of(base, ""), header.values_of(theirs, "")
        alone = all(in_git.get(key) in {in_base.get(key), value} for key, value in changes.items())
        if alone and header.write(base, changes, path) == sproc.source:
            return header.write(theirs, changes, path), theirs, ""
    except (RepositoryError, ProblemsError):
        pass
    return b"", None, f"{path} was changed in git, too ({desired.commit.sha[:10]}): {WAYS_OUT}"


def _live_too(registry: Registry, sproc: Sproc, merged: bytes, theirs: bytes, by: str) -> str:
    """Makes live what is going to be committed. Returns why it could not, or ""."""
    try:
        edit(registry, sproc.name, merged, base=sproc.blob, by=by, onto=theirs)
    except (RegistryError, ProblemsError) as error:
        return str(error)
    return ""


def _header_changes(base: bytes, edited: bytes) -> dict[str, str | None]:
    old, new = header.values_of(base, ""), header.values_of(edited, "")
    changed: dict[str, str | None] = {key: value for key, value in new.items() if old.get(key) != value}
    return changed | dict.fromkeys(old.keys() - new.keys())


def _message(
    repository: Repository, desired: Desired, sprocs: Mapping[str, Sproc], done: Sequence[LiveEdit]
) -> Printable:
    """`Edit a.lua: timeout 1s -> 2s`, a line for each further one, and who."""
    lines: list[str] = []
    for one in done:
        if one.name not in desired.entries:
            lines.append(in_a_line(f"Add {desired.path(one.name)}"))
            continue
        try:
            git = desired.entries.get(one.name, "")
            before = git if git in one.edit.blobs else one.edit.base
            base = repository.blobs([before])[before]
            old, new = header.values_of(base, ""), header.values_of(sprocs[one.name].source, "")
            keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            what = ", ".join(f"{key} {old.get(key, 'none')} -> {new.get(key, 'none')}" for key in keys)
        except (RepositoryError, ProblemsError):
            what = ""
        lines.append(in_a_line(f"Edit {desired.path(one.name)}: {what or 'its source'}"))
    people = dict.fromkeys(_person(one.edit.by) for one in done)
    trailers = [in_a_line(f"Edited-live-by: {person}") for person in people]
    return Printable("\n".join([lines[0], "", *(lines[1:] and [*lines[1:], ""]), *trailers]) + "\n")


def _person(by: str) -> str:
    """As git wants an author."""
    by = "".join(character for character in by if not is_hostile(character))
    if _PERSON.fullmatch(by):
        return by
    name = "".join(character for character in by if character not in "<>") or "somebody"
    mail = name if re.fullmatch(r"[\w.+-]+@[\w.-]+", name) else "luasprocs@localhost"
    return f"{name} <{mail}>"
