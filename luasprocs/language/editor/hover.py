"""What a word of a sproc is, and how what stands around a place is called. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.metadata import KEYS
from luasprocs.language.editor.words import KEY_DOCS, LOCALS, call_of, member
from luasprocs.language.fields import header_end, scan
from luasprocs.language.metadata import expected, is_key
from luasprocs.language.tokens import inside, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from luasprocs.language.editor.command_docs import CommandDoc
    from luasprocs.language.editor.words import Known
    from luasprocs.language.tokens import Token

_CALLED = re.compile(r"""\b(?:redis|server)\s*\.\s*p?call\s*\(\s*['"]$""")
_SECOND = re.compile(r"""\b(?:redis|server)\s*\.\s*p?call\s*\(\s*(['"])(\w+)\1\s*,\s*['"]$""")
_OWNER = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)\s*\.\s*$")
_CALLEE = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)(?:\s*\.\s*([A-Za-z_]\w*))?\s*$")
_BACK_CHARS = 4000
_BEFORE_CHARS = 200


class Told(NamedTuple):
    """Markdown, and the stretch of the text that it is about."""

    markdown: str
    start: int
    end: int


class Signature(NamedTuple):
    """A call as it is written, its parameters as they stand in it, and which of them is being written."""

    label: str
    parameters: tuple[str, ...]
    active: int
    doc: str


def hover(text: str, at: int, commands: Mapping[str, CommandDoc]) -> Told | None:
    """What the word at a place is."""
    if at <= header_end(text):
        for one in scan(text):
            if one.key_at <= at <= one.key_at + len(one.key) and is_key(one.key):
                return Told(key_markdown(one.key), one.key_at, one.key_at + len(one.key))
        return None
    word = next((one for one in tokens(text) if one.start <= at <= one.end), None)
    told = word and _markdown(text, word, commands)
    return Told(told, word.start, word.end) if word and told else None


def key_markdown(key: str) -> str:
    """What a key of a header is."""
    if key not in KEYS:
        return f"**{key}** is a key of your own, kept as it is."
    defaults = [f"`{one.value}`{f' with {one.when}' if one.when else ''}" for one in KEYS[key].defaults]
    tail = f"\n\nDefault: {', '.join(defaults)}" if defaults else ""
    return f"**{key}**: {KEY_DOCS.get(key, '')}\n\nExpected: {expected(key)}{tail}"


def _markdown(text: str, word: Token, commands: Mapping[str, CommandDoc]) -> str:
    before = text[max(0, word.start - _BEFORE_CHARS) : word.start]
    if word.literal:
        if _CALLED.search(before) and (doc := commands.get(word.value.lower())):
            return doc.markdown
        if (found := _SECOND.search(before)) and (doc := commands.get(f"{found[2]}|{word.value}".lower())):
            return doc.markdown
        return ""
    owner = _OWNER.search(before)
    known = member(owner[1], word.value) if owner else LOCALS.get(word.value)
    return _member_markdown(f"{owner[1]}.{word.value}" if owner else word.value, known) if known else ""


def _member_markdown(name: str, found: Known) -> str:
    return f"```lua\n{call_of(name, found)}\n```\n{found.doc}"


def signature(text: str, at: int, commands: Mapping[str, CommandDoc]) -> Signature | None:
    """The call whose arguments a place is in."""
    if inside(text, at) == "comment":
        return None
    opened = _open_call(text, at)
    if opened is None:
        return None
    before, arguments = text[max(0, opened - _BEFORE_CHARS) : opened], text[opened + 1 : at]
    callee = _CALLEE.search(before)
    if callee is None:
        return None
    table, name = (callee[1], callee[2]) if callee[2] else ("", callee[1])
    place = sum(1 for _ in _commas(arguments))
    if table in {"redis", "server"} and name in {"call", "pcall"} and place:
        words = [one.value.lower() for one in tokens(arguments) if one.literal][:2]
        of_two = "|".join(words) in commands and len(words) > 1
        if words and (doc := commands.get("|".join(words) if of_two else words[0])):
            active = max(0, min(place - 1 - of_two, len(doc.parts) - 1))
            return Signature(doc.syntax, doc.parts, active, doc.summary)
    known = member(table, name) if table else LOCALS.get(name)
    if known is None or known.parameters is None:
        return None
    label = call_of(f"{table}.{name}" if table else name, known)
    return Signature(label, known.parameters, min(place, max(0, len(known.parameters) - 1)), known.doc)


def _open_call(text: str, at: int) -> int | None:
    """The nearest parenthesis before a place that isn't closed before it."""
    start = max(0, at - _BACK_CHARS)
    opened: list[int] = []
    for place, char in _code(text[start:at]):
        if char in "({[":
            opened.append(place)
        elif char in ")}]" and opened:
            opened.pop()
    while opened:
        place = opened.pop()
        if text[start + place] == "(":
            return start + place
    return None


def _commas(arguments: str) -> Iterator[int]:
    depth = 0
    for place, char in _code(arguments):
        depth += (char in "({[") - (char in ")}]")
        if char == "," and not depth:
            yield place


_LITERAL_OR_COMMENT = re.compile(
    r"""--[^\r\n]*|(["'])(?:\\.|(?!\1)[^\\\r\n])*\1?|\[(=*)\[(?s:.*?)(?:\]\2\]|\Z)|(?P<char>[({\[\]}),])"""
)


def _code(text: str) -> Iterator[tuple[int, str]]:
    """The brackets and commas of a source, without those in literals and comments."""
    for found in _LITERAL_OR_COMMENT.finditer(text):
        if found["char"]:
            yield found.start(), found["char"]
