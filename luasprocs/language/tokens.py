"""The names and strings of a Lua source, with where they stand; comments and numbers are passed over. Pure.

As Lua 5.1's `llex.c` has them. A source that doesn't compile is read as far as that makes sense.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Each begins with a character that little else does: what is between them is passed over at the speed of C.
_HIDDEN = r"""
      --\[(?P<comment>=*+)\[ (?s:.*?) (?:\](?P=comment)\]|\Z)
    | --[^\r\n]*+
    | \[(?P<level>=*+)\[ (?:\r\n|\n\r|[\r\n])? (?P<long>(?s:.*?)) (?:\](?P=level)\]|\Z)
    | "(?P<double>(?: \\(?:\r\n|\n\r|(?s:.)) | [^"\\\r\n] )*+)"?
    | '(?P<single>(?: \\(?:\r\n|\n\r|(?s:.)) | [^'\\\r\n] )*+)'?
"""
_COMMENT_OR_LITERAL = re.compile(_HIDDEN, re.VERBOSE)
_TOKEN = re.compile(
    rf"""{_HIDDEN}
    | \.?[0-9][0-9.]*+ (?:[eE][+-]?)? [A-Za-z0-9_]*+
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
    """,
    re.VERBOSE,
)
KEYWORDS = (
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
)
_LITERALS = frozenset({"long", "double", "single"})
_ESCAPE = re.compile(rb"\\(\d{1,3}|\r\n|\n\r|.)", re.DOTALL)
_WORD = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_IN_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
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
        if found.lastgroup == "name":
            yield Token(False, found["name"], *found.span("name"))
        elif found.lastgroup in _LITERALS:
            yield _literal(found)


def named(text: str, names: Iterable[str]) -> list[Token]:
    """Those of `tokens` that have one of some values, several times faster; of a source that compiles."""
    wanted = set(names)
    found, spans = [], []
    for one in _COMMENT_OR_LITERAL.finditer(text):
        spans.append(one.span())
        if one.lastgroup in _LITERALS and (token := _literal(one)).value in wanted:
            found.append(token)
    words = re.compile("|".join(sorted((one for one in wanted if _WORD.fullmatch(one)), reverse=True)) or r"(?!)")
    at, last = 0, len(spans)
    for one in words.finditer(text):
        start, end = one.span()
        if text[start - 1 : start] in _IN_WORD or text[end : end + 1] in _IN_WORD:
            continue
        while at < last and spans[at][1] <= start:
            at += 1
        if at == last or start < spans[at][0]:
            found.append(Token(False, one[0], start, end))
    return sorted(found, key=lambda token: token.start)


def _literal(found: re.Match[str]) -> Token:
    kind = str(found.lastgroup)
    value = _LINE_END.sub("\n", found[kind]) if kind == "long" else _meaning(found[kind])
    return Token(True, value, *found.span(kind))


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
        if found.lastgroup in _LITERALS:
            closed = whole.endswith("]") if found.lastgroup == "long" else whole[-1] == whole[0] and len(whole) > 1
            return "" if closed and at == found.end() else "string"
    return ""


class Hidden:
    """Where the comments and literals of a source are: asked for many places of one text."""

    def __init__(self, text: str) -> None:
        spans = [found.span() for found in _COMMENT_OR_LITERAL.finditer(text)]
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
