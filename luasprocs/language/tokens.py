"""The names and strings of a Lua source, with where they stand; comments and numbers are passed over. Pure.

As Lua 5.1's `llex.c` has them. A source that doesn't compile is read as far as that makes sense.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      --\[(?P<comment>=*+)\[ (?s:.*?) (?:\](?P=comment)\]|\Z)
    | --[^\r\n]*+
    | \[(?P<level>=*+)\[ (?:\r\n|\n\r|[\r\n])? (?P<long>(?s:.*?)) (?:\](?P=level)\]|\Z)
    | (?P<quote>["']) (?P<short>(?: \\(?:\r\n|\n\r|(?s:.)) | (?!(?P=quote))[^\\\r\n] )*+)
      (?P=quote)?
    | \.?[0-9][0-9.]*+ (?:[eE][+-]?)? [A-Za-z0-9_]*+
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(\d{1,3}|\r\n|\n\r|.)", re.DOTALL)
_BLANKS = frozenset(" \t\v\f\r\n")
_LINE_END = re.compile(r"\r\n|\n\r|\r")
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_LINE_ENDS = frozenset({b"\r\n", b"\n\r", b"\r", b"\n"})


class Token(NamedTuple):
    """A name (keywords are names, too) or a string literal from `start` to `end`, of a string without its quotes.

    `value`: what the literal means, bytes that are no UTF-8 as surrogates.
    """

    literal: bool
    value: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Those of a source, in its order."""
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        if kind == "name":
            yield Token(False, found["name"], *found.span("name"))
        elif kind == "long":
            yield Token(True, _LINE_END.sub("\n", found["long"]), *found.span("long"))
        elif kind == "short":
            yield Token(True, _meaning(found["short"]), *found.span("short"))


def inside(text: str, at: int) -> Literal["comment", "string", ""]:
    """Whether a place of a source is in a comment or in a literal. One that isn't closed goes to its line's end."""
    for found in _TOKEN.finditer(text):
        if found.start() >= at:
            break
        if at > found.end():
            continue
        whole = found.group()
        if whole.startswith("--"):
            return "comment" if found["comment"] is None or at < found.end() else ""
        if found.lastgroup in {"long", "short"}:
            closed = whole.endswith("]") if found.lastgroup == "long" else whole[-1] == whole[0] and len(whole) > 1
            return "" if closed and at == found.end() else "string"
    return ""


class Hidden:
    """Where the comments and literals of a source are: asked for many places of one text."""

    def __init__(self, text: str) -> None:
        spans = [
            found.span()
            for found in _TOKEN.finditer(text)
            if found.lastgroup in {"long", "short"} or found[0][:2] == "--"
        ]
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __contains__(self, at: int) -> bool:
        before = bisect_right(self._starts, at) - 1
        return before >= 0 and at < self._ends[before]


def follows_dot(text: str, start: int) -> bool:
    """Whether what starts there is a field or a method of something: `a.b`, `a:b`, not `a..b`."""
    at = start - 1
    while at >= 0 and text[at] in _BLANKS:
        at -= 1
    return at >= 0 and (text[at] == ":" or (text[at] == "." and text[at - 1 : at] != "."))


def precedes_equals(text: str, end: int) -> bool:
    """Whether `=` follows what ends there: it is assigned to, or is a field of a table that is made."""
    while end < len(text) and text[end] in _BLANKS:
        end += 1
    return text[end : end + 1] == "=" != text[end + 1 : end + 2]


def _meaning(written: str) -> str:
    """What a short literal means."""
    if "\\" not in written:
        return written
    raw = written.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescaped, raw).decode("utf-8", "surrogateescape")


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    if escape.isdigit():
        return bytes([min(int(escape), 255)])  # a larger one doesn't compile
    return b"\n" if escape in _LINE_ENDS else _ESCAPED.get(escape, escape)
