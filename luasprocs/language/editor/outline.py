"""The parts of a sproc: its header, its functions, what they fold to. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.fields import header_end, scan
from luasprocs.language.tokens import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION = re.compile(
    r"\b(?P<local>local\s+)?function\s+(?P<name>[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*)\s*\("
    r"|\b(?P<assigned>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*=\s*function\s*\("
)
_BLOCK = re.compile(
    r"""--\[(=*)\[(?s:.*?)(?:\]\1\]|\Z) | --[^\r\n]* | (["'])(?:\\(?s:.)|(?!\2)[^\\\r\n])*\2? | \[(=*)\[(?s:.*?)(?:\]\3\]|\Z)
    | (?<![\w.:])(?P<word>function|do|then|elseif|repeat|end|until)(?!\w)""",
    re.VERBOSE,
)


class Symbol(NamedTuple):
    """A header's key or a function: where all of it stands, and its name within that."""

    name: str
    kind: str
    start: int
    end: int
    name_start: int
    name_end: int
    detail: str = ""


def symbols(text: str) -> Iterator[Symbol]:
    """A header's fields and the named functions, in their order."""
    for one in scan(text):
        end = one.value_at + len(one.value)
        yield Symbol(one.key, "key", one.start, end, one.key_at, one.key_at + len(one.key), one.value)
    ends, hidden = dict(_blocks(text)), Hidden(text)
    for found in _FUNCTION.finditer(text, header_end(text)):
        if found.start() in hidden:
            continue
        group = "name" if found["name"] else "assigned"
        opened = text.index("function", found.start())
        yield Symbol(found[group], "function", found.start(), ends.get(opened, found.end()), *found.span(group))


def folds(text: str) -> Iterator[tuple[int, int, bool]]:
    """From where to where something folds; and whether that is the header's comment."""
    if (end := len(text[: header_end(text)].rstrip())) and "\n" in text[:end].strip():
        yield 0, end, True
    for start, end in _blocks(text):
        yield start, end, False


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Where each block of words begins and ends: with the start of its first and the end of its last one."""
    opened: list[int] = []
    for found in _BLOCK.finditer(text):
        match found["word"]:
            case "function" | "do" | "then" | "repeat":
                opened.append(found.start())
            case "elseif" if opened:
                opened.pop()
            case "end" | "until" if opened:
                yield opened.pop(), found.end()
