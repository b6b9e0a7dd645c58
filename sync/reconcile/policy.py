"""Which commits may become live: the host's `require_signed` and `require_fast_forward`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sync.reconcile.desired import INDEX, WORKTREE
from sync.repository_settings import SETTINGS_FILE

if TYPE_CHECKING:
    from sync.git.commits import Commit
    from sync.git.repository import Repository
    from sync.settings import HostSettings


class Policy(NamedTuple):
    """`signed`: only commits with a good signature; `fast_forward`: only descendants of what is live."""

    signed: bool = False
    fast_forward: bool = False

    @classmethod
    def of(cls, settings: HostSettings) -> Policy:
        """The host's."""
        return cls(settings.require_signed, settings.require_fast_forward)

    def refusal(self, repository: Repository, commit: Commit, live: str, folder: str = "") -> str:
        """Why `commit` must not become live where `live` (a commit, "" for nothing) is: who, and what is wrong; "" if it may.

        Signed must be the commit itself, and each one that comes with it and changes sprocs (in `folder`; "" is all) or
        luasprocs.toml: else who signs on top of another's push lets that in unseen. What is live already is not asked about.

        Raises:
            RepositoryError: git can't tell.
        """
        if commit.sha == live:
            return ""
        return (
            (self.signed and _unsigned(repository, commit, live, folder))
            or (self.fast_forward and _beside(repository, commit, live))
            or ""
        )


ANY = Policy()
"""Takes every commit."""


def _unsigned(repository: Repository, commit: Commit, live: str, folder: str) -> str:
    if commit.sha in {WORKTREE, INDEX}:
        return f"require_signed is set, and {commit.subject} has no signature: sign it"
    if why := _not_good(repository, commit):
        return f"require_signed is set, and {why} (git commit --amend --no-edit -S signs the last one)"
    if not repository.knows(live):
        return ""  # all is new, and the commit's signature covers all files
    for one in repository.brought_in(commit.sha, live, (folder, SETTINGS_FILE) if folder else ()):
        if why := _not_good(repository, one):
            return (
                f"require_signed is set, and with {commit.sha[:12]} comes {why} "
                f"(git rebase --exec 'git commit --amend --no-edit -S' {live[:12]} signs all that is new)"
            )
    return ""


def _not_good(repository: Repository, commit: Commit) -> str:
    """What is wrong with a commit's signature; "" if nothing is."""
    signature = repository.signature(commit)
    if signature.good:
        return ""
    by = f" signed by {signature.who}" if signature.who else ""
    return f"commit {commit.sha[:12]} of {commit.author}{by} has no good signature: {signature.why}"


def _beside(repository: Repository, commit: Commit, live: str) -> str:
    if not live or {commit.sha, live} & {WORKTREE, INDEX} or repository.is_ancestor(live, commit.sha):
        return ""
    why = "does not descend from it" if repository.knows(live) else "this repository doesn't have that one"
    return (
        f"require_fast_forward is set, {live[:12]} is live, and commit {commit.sha[:12]} of {commit.author}: {why} "
        "(rebase or merge onto what is live)"
    )
