"""What mends a problem of a sproc's text, as changes of the text. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.metadata import KEYS
from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.fields import lookalikes
from luasprocs.language.places import Lines, Range
from luasprocs.language.sandbox import GLOBALS, MEMBERS, commands
from luasprocs.language.spelling import near

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from luasprocs.errors import Problem

_READS = frozenset(
    {
        "get",
        "mget",
        "exists",
        "ttl",
        "pttl",
        "type",
        "strlen",
        "getrange",
        "getbit",
        "hget",
        "hmget",
        "hgetall",
        "hexists",
        "hlen",
        "hkeys",
        "hvals",
        "hstrlen",
        "lrange",
        "llen",
        "lindex",
        "sismember",
        "smismember",
        "smembers",
        "scard",
        "zrange",
        "zscore",
        "zmscore",
        "zcard",
        "zcount",
        "zrank",
        "zrevrank",
        "xrange",
        "xrevrange",
        "xlen",
        "time",
    }
)


_FIELD = re.compile(r"\s*\.\s*(\w+)")


class Fix(NamedTuple):
    """`title` is what an editor offers; `start` to `end` becomes `text`. `sure`: the one that is likely meant."""

    title: str
    start: int
    end: int
    text: str
    sure: bool = True


def fixes(text: str, problem: Problem, libraries: Collection[str], sprocs: Collection[str]) -> Iterator[Fix]:
    """What may mend a problem."""
    lines = Lines(text)
    start, end = lines.offsets(Range(problem.line, problem.column, problem.end_line, problem.end_column))
    word = text[start:end]
    match problem.code:
        case "header.unknown-key":
            yield from _nearest(word, KEYS, start, end)
            yield Fix(f"Make it a key of your own: x_{word}", start, end, f"x_{word}", sure=False)
        case "header.duplicate-key":
            yield Fix("Remove this line", *lines.span(problem.line), "")
        case "header.lookalike" if meant := next((one for one in lookalikes(text) if one.key_at == start), None):
            yield Fix(f"Write it as a key: {meant.right}", start, _line_end(text, start), meant.right)
        case "header.bad-value":
            yield from _values(text, problem.line, start, end)
        case "require.unknown":
            yield from _nearest(word, libraries, start, end)
        case "call.unknown":
            yield from _nearest(word, sprocs, start, end)
        case _:
            yield from _in_lua(text, problem.code, start, end)


def _in_lua(text: str, code: str, start: int, end: int) -> Iterator[Fix]:
    word = text[start:end]
    match code:
        case "lua.global-write":
            yield from _local(text, word, start)
        case "lua.unknown-global":
            yield from _globals(text, word, start, end)
        case "lua.unknown-command":
            yield from _nearest(word.lower(), [one for one in commands() if "|" not in one], start, end, upper=True)


def readonly(text: str, written: Collection[str]) -> Fix | None:
    """`readonly=yes` for a header that lacks it, if all commands (`written`, in lower case) only read."""
    if not written or not all(one in _READS for one in written):
        return None
    try:
        if "readonly" in header.values_of(text.encode(), ""):
            return None
        changed = header.write(text.encode(), {"readonly": "yes"}).decode()
    except (ProblemsError, UnicodeError):
        return None
    return Fix("It only reads: add readonly=yes", 0, len(text), changed, sure=False)


def _nearest(word: str, words: Collection[str], start: int, end: int, *, upper: bool = False) -> Iterator[Fix]:
    for place, one in enumerate(near(word, words)):
        right = one.upper() if upper else one
        yield Fix(f"Change to {right}", start, end, right, sure=not place)


def _values(text: str, line: int, start: int, end: int) -> Iterator[Fix]:
    field = next((one for one in header.fields_of(text, Lines(text)) if one.value_range.line == line), None)
    key = KEYS.get(field.key) if field else None
    if key is None:
        return
    known = key.choices or (("yes", "no") if key.kind == "flag" else ())
    for place, one in enumerate(known):
        yield Fix(f"Change to {one}", start, end, one, sure=not place and len(known) == 1)


def _local(text: str, word: str, start: int) -> Iterator[Fix]:
    before = text[:start]
    function = re.search(r"\bfunction\s+$", before)
    at = function.start() if function else start
    if re.search(r"(?:^|[;\r\n]|\b(?:then|do|else|end|return)\s)[ \t]*$", text[:at]) or not text[:at].strip():
        yield Fix(f"Make {word or 'it'} local", at, at, "local ")


def _globals(text: str, word: str, start: int, end: int) -> Iterator[Fix]:
    if MEMBERS.get(word) and (field := _FIELD.match(text, end)):
        yield from _nearest(field[1], MEMBERS[word], *field.span(1))
        return
    if word == "print":
        yield Fix("Write to the server's log", start, _open(text, end), "redis.log(redis.LOG_NOTICE, ")
    yield from _nearest(word, GLOBALS, start, end)


def _open(text: str, end: int) -> int:
    """Behind the parenthesis that follows."""
    found = re.compile(r"\s*\(").match(text, end)
    return found.end() if found else end


def _line_end(text: str, at: int) -> int:
    found = re.compile(r"[^\r\n]*").match(text, at)
    return found.end() if found else at
