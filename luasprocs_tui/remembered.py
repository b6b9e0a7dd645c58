"""What the screen remembers from one start to the next: how each list is sorted, and in which zone times are shown."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEMBERED_FILE = "luasprocs/screen.json"
"""Below XDG_STATE_HOME, else ~/.local/state."""
ZONES = ("utc", "local")


class Sort(NamedTuple):
    """By a column's label."""

    column: str
    descending: bool = False


class Remembered(NamedTuple):
    """`sorts`: by the name of a screen."""

    zone: str = ZONES[0]
    sorts: Mapping[str, Sort] = {}

    def sorted_by(self, screen: str, sort: Sort | None) -> Remembered:
        """The same with another sort of a list; None: as it comes."""
        others = {name: one for name, one in self.sorts.items() if name != screen}
        return self._replace(sorts={**others, screen: sort} if sort else others)


def remembered_file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / REMEMBERED_FILE


def read_remembered(file: Path) -> Remembered:
    """What is remembered; nothing where the file can't be read, or says something else: nobody has written it by hand."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        sorts = {str(name): Sort(str(column), bool(down)) for name, (column, down) in said["sorts"].items()}
        return Remembered(said["zone"] if said["zone"] in ZONES else ZONES[0], sorts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Remembered()


def write_remembered(file: Path, remembered: Remembered) -> None:
    """Where nothing can be written, nothing is remembered."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({"zone": remembered.zone, "sorts": remembered.sorts}), encoding="utf-8")
        new.replace(file)
