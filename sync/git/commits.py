"""Commits, and what a name of one means to git."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RepositoryError
from luasprocs.language.values import shown
from sync.git.entries import text

if TYPE_CHECKING:
    from sync.git.process import Git

OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"refs/heads/(?!.*\.\.)[\w./-]+", re.ASCII)
_END_OF_NAME = re.compile(r"[~^:]|@\{")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_SECONDS = re.compile(r"[0-9]{1,18}")
# Plumbing, so that no log.* setting of the user (signatures, colours) changes what is read.
_READ = ("rev-list", "--max-count=1", "--encoding=UTF-8", "--format=%an <%ae>%x00%ct%x00%s")
_TOO_EARLY = re.compile(r"log for '(.+)' only goes back to (.+)")
_NAME_LIMIT = 1000
"""Characters of a revision; git's own limit is what a command line holds."""


class Commit(NamedTuple):
    """A commit. `sha`: 40 or 64 hex digits; `author`: `Name <mail>`; `time`: of committing, unix seconds, 0 if it has none.

    In texts U+FFFD stands for bytes that are no UTF-8.
    """

    sha: str
    author: str
    subject: str
    time: int


def checked_out(git: Git) -> str | None:
    """The branch that HEAD stands on, with or without a commit; None when it is detached."""
    status, output, _ = git.run("symbolic-ref", "--quiet", "HEAD")
    return text(output).rstrip("\n").removeprefix("refs/heads/") if status == 0 else None


def knows(git: Git, sha: str) -> bool:
    """Whether the repository has the commit, in whatever history."""
    return bool(OBJECT_ID.fullmatch(sha)) and git.run("cat-file", "-e", f"{sha}^{{commit}}")[0] == 0


def resolve(git: Git, revision: str | None = None) -> Commit:
    """The commit that `revision` names to git: branch, tag, full ref, hex digits, `HEAD~2`, `:/text`; None is HEAD.

    Raises:
        RepositoryError: there is no such commit, none at all yet, or the name is two things.
    """
    name = "HEAD" if revision is None else revision
    if not name or name.startswith("-") or _UNSAFE.search(name) or len(name) > _NAME_LIMIT:
        raise RepositoryError(f"{shown(name)} can't be a revision: name a commit, a branch or a tag")
    # HEAD and a whole object id mean one thing only, even if somebody made a branch of that name.
    warn = "false" if name == "HEAD" or OBJECT_ID.fullmatch(name) else "true"
    options = ("-c", f"core.warnAmbiguousRefs={warn}")
    wanted = (
        name if name.startswith(":/") else f"{name}^{{commit}}"
    )  # `:/text^{commit}` searches messages for all of that
    if warn == "false" or _BRANCH.fullmatch(name):  # no expression, which may name several commits
        status, output, stderr = git.run(*options, *_READ, wanted, "--")
        if status == 0 and " is ambiguous" not in stderr:
            return _commit_of(output)
    status, output, stderr = git.run(*options, "rev-parse", "--verify", wanted)
    if " is ambiguous" in stderr:
        raise RepositoryError(_ambiguous(git, name))
    if status != 0:
        raise RepositoryError(_unknown(git, name))
    if early := _TOO_EARLY.search(stderr):
        raise RepositoryError(
            f"{shown(name)} is too early: {git.shown} knows where {early[1]} was only since {early[2]}"
        )
    sha = text(output).strip()
    if not OBJECT_ID.fullmatch(sha):  # `^HEAD`: all but these
        raise RepositoryError(f"{shown(name)} is not a single commit: name a commit, a branch or a tag")
    return read_commit(git, sha)


def read_commit(git: Git, sha: str) -> Commit:
    return _commit_of(git.must(*_READ, sha))


def _commit_of(output: bytes) -> Commit:
    first, _, rest = output.decode("utf-8", "replace").partition("\n")
    author, _, rest = rest.removesuffix("\n").partition("\0")
    time, _, subject = rest.partition("\0")
    return Commit(first.removeprefix("commit "), author, subject, int(time) if _SECONDS.fullmatch(time) else 0)


def _ambiguous(git: Git, name: str) -> str:
    short = _END_OF_NAME.split(name)[0]
    listed = git.must("for-each-ref", "--format=%(refname)")
    ends = tuple(f"{place}{short}" for place in ("refs/", "refs/heads/", "refs/tags/", "refs/remotes/"))
    refs = [ref for ref in text(listed).split("\n") if ref in ends]
    if len(refs) > 1:
        return f"{short!r} is several things in {git.shown}: write {' or '.join(refs)}"
    return f"{short!r} could be several commits in {git.shown}: write more of its digits, or a full ref"


def _unknown(git: Git, name: str) -> str:
    status, output, _ = git.run("rev-parse", "--verify", "--quiet", name)
    if status == 0 and OBJECT_ID.fullmatch(sha := text(output).strip()) and sha != name:
        kind = text(git.run("cat-file", "-t", sha)[1]).strip()
        if not kind:
            return f"object {sha[:12]} is missing in {git.shown}: git fsck tells more, git fetch may bring it"
        return f"{name!r} is a {kind} in {git.shown}: name a commit, a branch or a tag"
    if name == "HEAD":
        return f"{git.shown} has no commit yet on {checked_out(git) or 'HEAD'}: git add and git commit first"
    shallow = text(git.must("rev-parse", "--is-shallow-repository")).strip() == "true"
    fetch = "git fetch --unshallow (this clone is shallow)" if shallow else "git fetch, if it is elsewhere"
    return f"{git.shown} has no commit {name!r}: see git branch --all and git tag, or {fetch}"
