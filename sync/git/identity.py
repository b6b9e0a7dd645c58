"""Which repository this is: its root commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sync.git.entries import text

if TYPE_CHECKING:
    from sync.git.process import Git


class Identity(NamedTuple):
    """Which repository this is: its smallest root commit. `shallow`: history is cut off, `id` is its end."""

    id: str
    shallow: bool


class Identities:
    """The identity as seen from commits. Long histories take long to walk: from a later one only what is new since is walked."""

    def __init__(self, git: Git, last: tuple[str, Identity] | None = None) -> None:
        self._git = git
        self.last = last

    def seen_from(self, sha: str) -> Identity:
        if self.last is not None:
            status, output, _ = self._git.run("rev-list", "--max-parents=0", sha, f"^{self.last[0]}")
            if status == 0:
                last = self.last[1]
                self.last = sha, Identity(min((last.id, *text(output).split())), last.shallow)
                return self.last[1]
        # The first look, or history was rewritten, and the old one collected.
        roots = text(self._git.must("rev-list", "--max-parents=0", sha)).split()
        shallow = text(self._git.must("rev-parse", "--is-shallow-repository")).strip() == "true"
        self.last = sha, Identity(min(roots), shallow)
        return self.last[1]
