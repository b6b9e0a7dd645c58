"""Names as folders, opened and closed. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_INDENT = "  "


def folders_of(name: str) -> list[str]:
    """The folders above a name, the outermost first, each with its `/`."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) + "/" for count in range(len(parts))]


def tree(names: Sequence[str], closed: Collection[str]) -> dict[str, str]:
    """Key to label: each folder before what is in it, its names in their order; nothing of what is closed."""
    paths = {name: folders_of(name) for name in names}
    counts = Counter(folder for folders in paths.values() for folder in folders)
    found: dict[str, str] = {}
    for name in sorted(names, key=paths.__getitem__):
        for at, folder in enumerate(paths[name]):
            if folder not in found and not any(outer in closed for outer in paths[name][:at]):
                sign = "▸" if folder in closed else "▾"
                found[folder] = f"{_INDENT * at}{sign} {folder.split('/')[-2]}/ ({counts[folder]})"
        if not any(folder in closed for folder in paths[name]):
            found[name] = f"{_INDENT * len(paths[name])}{name.rpartition('/')[2]}"
    return found
