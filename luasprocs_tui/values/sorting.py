"""What the cells of a list are sorted by: numbers with their units as numbers, all else as text. Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r">?(-?\d+(?:\.\d+)?)(us|ms|s|m|h|d|k|M|G|T|%)?")
_UNITS = {"us": 1e-6, "ms": 1e-3, "m": 60, "h": 3600, "d": 86_400, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NOTHING = frozenset({"", "-", "·"})

Key = tuple[int, float, str]


def sort_key(cell: str) -> Key:
    """Numbers before text; what says nothing is last."""
    if cell in _NOTHING:
        return 2, 0.0, ""
    found = _NUMBER.fullmatch(cell)
    if found:
        return 0, float(found[1]) * _UNITS.get(found[2], 1), ""
    return 1, 0.0, cell.casefold()
