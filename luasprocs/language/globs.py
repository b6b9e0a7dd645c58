"""Redis globs, as `PSUBSCRIBE` and `KEYS` match them (util.c, stringmatchlen). Pure."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SPECIAL = re.compile(rb"[*?\[\\]")


def is_glob(key: str) -> bool:
    """Whether Redis reads a key of the header as a pattern."""
    return any(character in key for character in "*?[\\")


def literal_prefix(glob: bytes) -> bytes:
    """What every match starts with."""
    found = _SPECIAL.search(glob)
    return glob[: found.start()] if found else glob


@functools.lru_cache(maxsize=4096)
def matcher(glob: bytes) -> Callable[[bytes], object]:
    """A function that says whether a key matches. In time linear in the key for each `*`: nothing backtracks over one."""
    if not _SPECIAL.search(glob):
        return glob.__eq__
    return re.compile(_translated(glob), re.DOTALL).fullmatch


def _translated(glob: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while at < len(glob):
        taken, part = _token(glob, at)
        at += taken
        if part != b"*" or parts[-1:] != [b"*"]:
            parts.append(part)
    pieces = [b""]
    for part in parts:
        if part == b"*":
            pieces.append(b"")
        else:
            pieces[-1] += part
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    # The earliest place of each piece is as good as any other: an atomic group never comes back to it.
    return first + b"".join(b"(?>.*?" + piece + b")" for piece in middle) + b".*" + last


def _token(glob: bytes, at: int) -> tuple[int, bytes]:
    """How many bytes the token at a place takes, and its regular expression; `*` stands for itself."""
    byte = glob[at : at + 1]
    if byte == b"*":
        return 1, b"*"
    if byte == b"?":
        return 1, b"."
    if byte == b"[":
        return _bracket(glob, at)
    if byte == b"\\" and at + 1 < len(glob):
        return 2, _byte(glob[at + 1])
    return 1, _byte(glob[at])


def _bracket(glob: bytes, start: int) -> tuple[int, bytes]:
    """`[abc]`, `[a-z]`, `[^x]`; one that is never closed ends with the glob, as in Redis."""
    at = start + 1
    negated = glob[at : at + 1] == b"^"
    at += negated
    ranges: list[tuple[int, int]] = []
    while at < len(glob) and glob[at : at + 1] != b"]":
        if glob[at : at + 1] == b"\\" and at + 1 < len(glob):
            ranges.append((glob[at + 1], glob[at + 1]))
            at += 2
        elif at + 2 < len(glob) and glob[at + 1 : at + 2] == b"-":
            ranges += _range(glob[at], glob[at + 2])
            at += 3
        else:
            ranges.append((glob[at], glob[at]))
            at += 1
    at += 1
    if not ranges:
        return at - start, b"." if negated else b"(?!)"
    body = b"".join(_byte(low) + b"-" + _byte(high) for low, high in ranges)
    return at - start, b"[" + (b"^" if negated else b"") + body + b"]"


def _range(one: int, other: int) -> list[tuple[int, int]]:
    """From one byte to the other as servers on x86-64 have it, whose bytes are signed: 0x80 to 0xff come before 0."""
    low, high = sorted((one, other), key=lambda byte: byte - 0x100 if byte >= 0x80 else byte)
    return [(low, high)] if low <= high else [(low, 0xFF), (0, high)]


def _byte(value: int) -> bytes:
    return b"\\x%02x" % value
