"""Three versions of a file put together, as git does it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from luasprocs.errors import RepositoryError
from sync.git.config import complaint, run_git

_MARKS = re.compile(rb"^(<{7} |={7}$|>{7} )", re.MULTILINE)
CONFLICTS_LIMIT = 127
"""git merge-file ends with the number of conflicts up to here; beyond it failed."""


class Merged(NamedTuple):
    """`conflicts`: how many places both have changed; they stand in `source` between git's marks."""

    source: bytes
    conflicts: int


def merge(mine: bytes, base: bytes, theirs: bytes, labels: tuple[str, str, str]) -> Merged:
    """`mine` and `theirs`, which were both made on `base`. `labels`: of the three, for git's marks.

    Raises:
        RepositoryError: git can't put them together.
    """
    with tempfile.TemporaryDirectory(prefix="luasprocs-") as folder:
        paths = [Path(folder) / name for name in ("mine", "base", "theirs")]
        for path, source in zip(paths, (mine, base, theirs), strict=True):
            path.write_bytes(source)
        named = (word for label in labels for word in ("-L", label))
        done = run_git(None, "merge-file", "-p", "--diff3", *named, *map(str, paths))
    if not 0 <= done.returncode <= CONFLICTS_LIMIT:
        raise RepositoryError(f"git can't merge: {complaint(done.stderr.decode('utf-8', 'replace'))}")
    return Merged(done.stdout, done.returncode)


def has_marks(source: bytes) -> bool:
    """Whether git's marks of a conflict are left in a source."""
    return bool(_MARKS.search(source))
