"""What a file must be to hold a sproc: its name, alone and among others, and its size. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

from luasprocs.language.problems import problem
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.errors import Problem

SOURCE_LIMIT_BYTES = 1024 * 1024
NAME_LIMIT_BYTES = 512
SUFFIX = ".lua"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@functools.lru_cache(maxsize=1 << 17)  # a daemon asks for the same ten thousand again and again
def name_problem(name: str) -> str | None:
    """Why a name can't be used, or None. Blanks, quotes, glob characters and emoji are fine."""
    if found := _CONTROL.search(name):
        return f"the name {shown(name)} holds the control character {found.group()!r}: rename the file"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return f"the name {shown(name)} is not UTF-8: rename the file"
    if size > NAME_LIMIT_BYTES:
        return f"the name has {size} bytes, more than {NAME_LIMIT_BYTES}: rename the file"
    if not name.endswith(SUFFIX):
        return f"the name {shown(name)} does not end in {SUFFIX}: rename the file"
    return None


def size_problem(size: int, path: str) -> Problem | None:
    """What is wrong with a file of so many bytes, or None."""
    if size <= SOURCE_LIMIT_BYTES:
        return None
    what = f"the file has {size:,} bytes, more than {SOURCE_LIMIT_BYTES:,}: keep data out of sprocs"
    return problem(path, "file.too-large", what)


def case_clashes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names that are one file where case or Unicode form don't count (macOS), each but the first with what is wrong."""
    first: dict[str, str] = {}
    clashes = []
    for name in sorted(names):
        kept = first.setdefault(_folded(name), name)
        if kept != name:
            what = f"the names {shown(name)} and {shown(kept)} differ only in case: rename one of them"
            clashes.append((name, what))
    return clashes


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
