"""A header as it is usually written: `-- key=value`, or `-- @key value`. The body is left to a formatter of Lua. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.fields import BLANKS, scan, written

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEFORE = re.compile(r"[ \t\v\f]*-{2,}[ \t\v\f]*\Z")
_AFTER = re.compile(r"[ \t\v\f]*(?=[\r\n]|\Z)")


class Rewritten(NamedTuple):
    """A stretch of the text and what it is to be."""

    start: int
    end: int
    text: str


def formatted(text: str) -> Iterator[Rewritten]:
    """The changes of the fields that stand in line comments and are written otherwise."""
    for one in scan(text):
        if one.block:
            continue
        line_at = max(text.rfind("\n", 0, one.start), text.rfind("\r", 0, one.start)) + 1
        before = _BEFORE.search(text, line_at, one.start)
        after = _AFTER.match(text, one.value_at + len(one.value))
        if before is None or before.start() != line_at or after is None:
            continue
        right = f"-- {written(one.key, one.value.strip(BLANKS), marked=one.marked)}"
        if text[line_at : after.end()] != right:
            yield Rewritten(line_at, after.end(), right)
