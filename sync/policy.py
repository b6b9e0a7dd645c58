"""Which commits may become live: the host's `require_signed` and `require_fast_forward`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.desired import INDEX, WORKTREE

if TYPE_CHECKING:
    from sync.repository import Commit, Repository
    from sync.settings import HostSettings


@dataclass(frozen=True, slots=True)
class Policy:
    """`signed`: only commits with a good signature; `fast_forward`: only descendants of what is live."""

    signed: bool = False
    fast_forward: bool = False

    @classmethod
    def of(cls, settings: HostSettings) -> Policy:
        """The host's."""
        return cls(settings.require_signed, settings.require_fast_forward)

    def refusal(self, repository: Repository, commit: Commit, live: str) -> str:
        """Why `commit` must not become live where `live` (a commit, "" for nothing) is: who, and what is wrong; "" if it may.

        Only the commit itself need be signed: its signature covers all its files. What is live already is not asked about.

        Raises:
            RepositoryError: git can't tell.
        """
        if commit.sha == live:
            return ""
        return (
            (self.signed and _unsigned(repository, commit))
            or (self.fast_forward and _beside(repository, commit, live))
            or ""
        )


ANY = Policy()
"""Takes every commit."""


def _unsigned(repository: Repository, commit: Commit) -> str:
    if commit.sha in {WORKTREE, INDEX}:
        return f"require_signed is set, and {commit.subject} is no commit that somebody signed: commit it, signed"
    signature = repository.signature(commit)
    if signature.good:
        return ""
    by = f" signed by {signature.who}" if signature.who else ""
    return (
        f"require_signed is set, and commit {commit.sha[:12]} of {commit.author}{by} has no good signature: "
        f"{signature.why} (git commit --amend --no-edit -S signs the last one)"
    )


def _beside(repository: Repository, commit: Commit, live: str) -> str:
    if not live or {commit.sha, live} & {WORKTREE, INDEX} or repository.is_ancestor(live, commit.sha):
        return ""
    why = "does not descend from it" if repository.knows(live) else "this repository doesn't have that one"
    return (
        f"require_fast_forward is set, {live[:12]} is live, and commit {commit.sha[:12]} of {commit.author}: {why} "
        "(rebase or merge onto what is live)"
    )
