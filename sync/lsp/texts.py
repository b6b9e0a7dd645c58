"""Which texts a buffer has had: what is live may be replaced by who has seen it, and by nobody else."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

LIMIT = 2000
"""So many of a buffer's last texts are known, beside the first."""


class Head(NamedTuple):
    """What git's HEAD had of a file when it was opened; None: nothing, or there is no git. `known`: there is a commit."""

    source: bytes | None = None
    known: bool = False


class Texts:
    """Of one buffer, from its opening on. Line ends make no difference: git may keep others than the file has."""

    def __init__(self, text: str) -> None:
        self._first = text
        self._had: dict[bytes, None] = {}
        self._published: str | None = None
        self.head = Head()
        self.has(text)

    def has(self, text: str) -> None:
        """That is its text now."""
        self._had[_id(text.encode("utf-8", "surrogateescape"))] = None
        if len(self._had) > LIMIT:
            self._had.pop(next(iter(self._had)))

    def published(self, text: str) -> None:
        self._published = text
        self.has(text)

    def knows(self, source: bytes) -> bool:
        """Whether the buffer's text was made from this one."""
        known = {_id(self._first.encode("utf-8", "surrogateescape"))}
        if self.head.source is not None:
            known.add(_id(self.head.source))
        return (found := _id(source)) in self._had or found in known

    @property
    def new(self) -> bool:
        """Whether git had no such file when it was opened, and nothing was published from here."""
        return self.head.known and self.head.source is None and self._published is None

    @property
    def base(self) -> str:
        """What to merge from: what was published last, else what git had, else what was opened."""
        if self._published is not None:
            return self._published
        if not self.head.known:
            return self._first
        return (self.head.source or b"").decode("utf-8", "replace")


def _id(source: bytes) -> bytes:
    return hashlib.blake2b(source.replace(b"\r\n", b"\n"), digest_size=16).digest()
