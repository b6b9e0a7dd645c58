"""What a list shows, to be copied or written to a file. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def as_json(rows: Iterable[Any]) -> str:
    """An array, a row a line; text that is no UTF-8 as escapes."""
    lines = [json.dumps(row, ensure_ascii=True) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def labelled(labels: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """A row by the heads of its columns."""
    return dict(zip(labels, cells, strict=True))
