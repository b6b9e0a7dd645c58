"""What a source names: globals, commands, libraries, sprocs, each where it stands. Pure.

The bytecode says what is named, and on which line or below: comments and strings can't be mistaken for code there. The tokens
say where.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.compiler import globals_of_eval, uses
from luasprocs.language.places import Lines, Range
from luasprocs.language.shebang import compilable
from luasprocs.language.tokens import Token, follows_dot, named, precedes_equals

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Literal, TypeAlias

    from luasprocs.language.bytecode import Use

    _Role: TypeAlias = Literal["literal", "read", "assigned", "defined"]


class Reference(NamedTuple):
    """A name, and where it stands; of a literal without its quotes.

    `what`: "read" or "write" (a global), "field" (written into one), "member" (taken from `redis`), "command", "require" (a
    library), "call" or "enqueue" (a sproc), "zeroth" (element 0 of KEYS or ARGV) or "whole" (one of them given to a command).
    `detail`: of a global read, a field or a member, the field; of a global written, "function" if it becomes one; of a command,
    the next word.
    """

    what: str
    name: str
    detail: str
    range: Range


def references(source: bytes) -> tuple[Reference, ...]:
    """Those of a source without a BOM, sorted by place; none if it doesn't compile."""
    return _placed(source, uses(source))


def only_in_sprocs(source: bytes) -> tuple[Reference, ...]:
    """Where a source reads `sproc` or `require`, which a script under EVALSHA doesn't have."""
    return _placed(source, [use for use in globals_of_eval(source) if use.name in {"sproc", "require"}])


def _placed(source: bytes, found: Collection[Use]) -> tuple[Reference, ...]:
    if not found:
        return ()
    text = compilable(source).decode("utf-8", "surrogateescape")
    places = _Places(text, {use.name for use in found})
    placed = {Reference(use.what, use.name, use.detail, places.range_of(use)) for use in found}
    return tuple(sorted(placed, key=lambda one: (one.range, one)))


def required(source: bytes) -> list[Reference]:
    """The literals that a source gives to `require`; none if it doesn't compile."""
    if b"require" not in source:
        return []
    return [one for one in references(source) if one.what == "require"]


class _Places:
    """Where names stand in a text, by what the tokens around them make of them."""

    def __init__(self, text: str, names: set[str]) -> None:
        self._lines = Lines(text)
        self._tokens: dict[tuple[_Role, str], list[Token]] = {}
        self._starts: dict[tuple[_Role, str], list[int]] = {}
        before = Token(False, "", 0, 0)
        for token in named(text, names | {"function"}):
            if token.value in names and (token.literal or not follows_dot(text, token.start)):
                key = (_role(text, token, before), token.value)
                self._tokens.setdefault(key, []).append(token)
                self._starts.setdefault(key, []).append(token.start)
            before = token

    def range_of(self, use: Use) -> Range:
        """Where the name of a use stands: on the line that the bytecode says, or above it in a statement of several lines."""
        token = self._token_of(use)
        line = use.line
        return self._lines.range(token.start, token.end) if token else Range(line, 1, line, 1)

    def _token_of(self, use: Use) -> Token | None:
        if use.what == "write" and use.detail:  # `function f` has the line of `function`, `f = function` that of `end`
            start = self._lines.span(use.line)[0]
            below = next((one for one in self._named("defined", use.name) if one.start >= start), None)
            above = self._nearest("assigned", use)
            return below if below and (above is None or self._line(below) == use.line) else above
        if use.what == "write":
            return self._later(self._nearest("assigned", use), self._nearest("read", use))
        if use.what == "field":
            return self._later(self._nearest("defined", use), self._nearest("read", use))
        if use.what in {"read", "member", "zeroth", "whole"}:
            return self._nearest("read", use) or self._nearest("assigned", use)
        return self._nearest("literal", use)

    def _nearest(self, role: _Role, use: Use) -> Token | None:
        """The first on the use's line, or else on the nearest line above it."""
        starts = self._starts.get((role, use.name), [])
        at = bisect_left(starts, self._lines.span(use.line)[1]) - 1
        if at < 0:
            return None
        there = self._named(role, use.name)
        start = self._lines.span(self._line(there[at]))[0]
        return there[bisect_left(starts, start)]

    def _named(self, role: _Role, name: str) -> list[Token]:
        return self._tokens.get((role, name), [])

    def _later(self, one: Token | None, other: Token | None) -> Token | None:
        """The one on the later line, or else the first."""
        if one is None or other is None:
            return one or other
        return other if self._line(other) > self._line(one) else one

    def _line(self, token: Token) -> int:
        return self._lines.place(token.start)[0]


def _role(text: str, token: Token, before: Token) -> _Role:
    if token.literal:
        return "literal"
    if before.value == "function" and not before.literal and text[before.end : token.start].isspace():
        return "defined"
    return "assigned" if precedes_equals(text, token.end) else "read"
