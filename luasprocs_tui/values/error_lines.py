"""Where in a source an error arose, and what it says. Pure."""

from __future__ import annotations

import re


def line_of_error(sproc: str, error: str) -> int:
    """The line of the sproc that its error names, from 1; 0 for none."""
    found = re.search(rf"(?:^|\W){re.escape(sproc)}:(\d{{1,7}})", error)
    return int(found[1]) if found else 0


def without_name(sproc: str, error: str) -> str:
    """For a row that has the sproc's name already: `7: no such folder`."""
    return error.removeprefix(f"ERR {sproc}:").removeprefix(f"{sproc}:")
