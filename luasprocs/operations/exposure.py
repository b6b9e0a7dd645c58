"""Whether other users of the machine can read a file that holds a password. Imports nothing: front ends start here."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def readable_by_others(file: Path) -> bool:
    """Whether those who are neither its owner nor in its group can get at a file and read it."""
    try:
        path = Path(os.path.realpath(file))
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    except OSError:
        return False


def exposure(what: str, file: Path) -> str:
    """What to say of a secret in a file that others can read; "" if they can't."""
    if not readable_by_others(file):
        return ""
    return f"{file} holds {what}, and every user of this machine can read it: chmod o-r {file}"
