"""Which repository this is: its root commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.git.commits import knows
from sync.git.entries import text

if TYPE_CHECKING:
    from sync.git.process import Git


@dataclass(frozen=True, slots=True)
class Identity:
    """Which repository this is: its smallest root commit. `shallow`: history is cut off, `id` is its end."""

    id: str
    shallow: bool


class Identities:
    """The identity as seen from commits. Long histories take long to walk: from a later one only what is new since is walked."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._last: tuple[str, Identity] | None = None

    def seen_from(self, sha: str) -> Identity:
        if self._last is not None and not knows(self._git, self._last[0]):
            self._last = None  # history was rewritten, and the old one collected
        since = () if self._last is None else (f"^{self._last[0]}",)
        roots = text(self._git.must("rev-list", "--max-parents=0", sha, *since)).split()
        if self._last is None:
            shallow = text(self._git.must("rev-parse", "--is-shallow-repository")).strip() == "true"
            found = Identity(min(roots), shallow)
        else:
            last = self._last[1]
            found = Identity(min((last.id, *roots)), last.shallow)
        self._last = sha, found
        return found
