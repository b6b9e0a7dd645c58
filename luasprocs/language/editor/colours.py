"""What the words of a sproc are, for an editor's colours: only what a grammar of Lua doesn't know. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.editor.navigation import members_used
from luasprocs.language.fields import scan
from luasprocs.language.sandbox import commands
from luasprocs.language.tokens import follows_dot, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("property", "enumMember", "macro", "parameter", "namespace", "method")
"""The protocol's names: a header's key, its value, a command, `KEYS` and `ARGV`, `redis` and `sproc`, a library's member."""
_NAMES = {"KEYS": "parameter", "ARGV": "parameter", "redis": "namespace", "server": "namespace", "sproc": "namespace"}
_CALLED = re.compile(r"""\b(?:redis|server)\s*\.\s*p?call\s*\(\s*['"]$""")
_BEFORE_CHARS = 100


class Coloured(NamedTuple):
    """A word and what it is, one of KINDS."""

    start: int
    end: int
    kind: str


def coloured(text: str) -> list[Coloured]:
    """The words that are something of their own, by place."""
    return sorted([*_header(text), *_body(text)])


def _header(text: str) -> Iterator[Coloured]:
    for one in scan(text):
        yield Coloured(one.key_at, one.key_at + len(one.key), "property")
        if one.value:
            yield Coloured(one.value_at, one.value_at + len(one.value), "enumMember")


def _body(text: str) -> Iterator[Coloured]:
    known = commands()
    for one in tokens(text):
        if one.literal:
            called = one.value.lower() in known and _CALLED.search(text[max(0, one.start - _BEFORE_CHARS) : one.start])
            if called:
                yield Coloured(one.start, one.end, "macro")
        elif one.value in _NAMES and not follows_dot(text, one.start):
            yield Coloured(one.start, one.end, _NAMES[one.value])
    for _, start in members_used(text):
        name = re.compile(r"\w+").match(text, start)
        if name:
            yield Coloured(start, name.end(), "method")
