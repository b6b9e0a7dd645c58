"""Where libraries, their members and sprocs are defined and named, across files. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.editor.cursor import cursor
from luasprocs.language.editor.outline import symbols
from luasprocs.language.places import Lines
from luasprocs.language.references import references
from luasprocs.language.tokens import Hidden, follows_dot, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_REQUIRED = re.compile(r"""\blocal\s+([A-Za-z_]\w*)\s*=\s*require\s*\(?\s*(['"])([^'"\r\n]+)\2""")
_DIRECT = re.compile(r"""\brequire\s*\(?\s*(['"])([^'"\r\n]+)\1\s*\)?\s*\.\s*$""")
_RETURNED = re.compile(r"\breturn\s+([A-Za-z_]\w*)\s*;?\s*\Z")
_TABLE = re.compile(r"\breturn\s*\{")
_FIELD = re.compile(r"(?:(?<=[{,;])|^)\s*([A-Za-z_]\w*)\s*=(?!=)", re.MULTILINE)


class Target(NamedTuple):
    """What a place is about: a sproc, or a member of a library (`member` not empty)."""

    sproc: str
    member: str = ""


class Place(NamedTuple):
    """A stretch of a sproc's text."""

    sproc: str
    start: int
    end: int


def target(name: str, text: str, at: int) -> Target | None:
    """What the word at a place of a sproc is about."""
    word = next((one for one in tokens(text) if one.start <= at <= one.end), None)
    if word is None:
        return None
    if word.literal:
        here = cursor(text, word.end)
        return Target(word.value) if here.what in {"require", "sproc"} else None
    before = text[: word.start].rstrip()
    if before.endswith((".", ":")):
        for library, start in members_used(text):
            if start == word.start:
                return Target(library, word.value)
    if any(one.start == word.start for one in members(text)):
        return Target(name, word.value)
    found = bound(text)
    return Target(found[word.value]) if word.value in found else None


class Member(NamedTuple):
    """A member of what a library returns, where it is defined."""

    name: str
    start: int
    end: int


def members(text: str) -> list[Member]:
    """The members of the table that a library returns: fields of the one it names, or of the one it makes."""
    stripped = text.rstrip()
    found: dict[str, Member] = {}
    hidden = Hidden(text)
    if returned := _RETURNED.search(stripped):
        table = returned[1]
        for one in symbols(text):
            owner, dot, name = one.name.replace(":", ".").partition(".")
            if one.kind == "function" and dot and owner == table and "." not in name:
                found.setdefault(name, Member(name, one.name_end - len(name), one.name_end))
        for field in re.finditer(rf"(?<![\w.:]){re.escape(table)}\s*\.\s*([A-Za-z_]\w*)\s*=(?!=)", text):
            if field.start() not in hidden:
                found.setdefault(field[1], Member(field[1], *field.span(1)))
        if made := re.search(rf"\blocal\s+{re.escape(table)}\s*=\s*\{{", text):
            _fields(text, made.end(), found, hidden)
    elif tables := list(_TABLE.finditer(text)):
        _fields(text, tables[-1].end(), found, hidden)
    return sorted(found.values(), key=lambda one: one.start)


def _fields(text: str, at: int, found: dict[str, Member], hidden: Hidden) -> None:
    """The fields of a table's constructor that begins at a place."""
    depth, end = 1, at
    while end < len(text) and depth:
        depth += (text[end] in "({[") - (text[end] in ")}]")
        end += 1
    body = text[at:end]
    for field in _FIELD.finditer("{" + body):
        start = at + field.start(1) - 1
        if start not in hidden and body[: field.start(1) - 1].count("{") == body[: field.start(1) - 1].count("}"):
            found.setdefault(field[1], Member(field[1], start, start + len(field[1])))


def bound(text: str) -> dict[str, str]:
    """The locals that hold libraries, each with the library's name."""
    hidden = Hidden(text)
    return {found[1]: found[3] for found in _REQUIRED.finditer(text) if found.start() not in hidden}


def members_used(text: str) -> Iterator[tuple[str, int]]:
    """Each member that is taken from a required library: the library, and where the member stands."""
    libraries = bound(text)
    before_two, before = None, None
    for token in tokens(text):
        if not token.literal and before is not None and _joined(text, before.end, token.start):
            owner = before.value if not before.literal else ""
            chained = before_two is not None and _joined(text, before_two.end, before.start)
            if owner in libraries and not chained:
                yield libraries[owner], token.start
        if (
            not token.literal
            and follows_dot(text, token.start)
            and (direct := _DIRECT.search(text[max(0, token.start - 400) : token.start]))
        ):
            yield direct[2], token.start
        before_two, before = before, token


def _joined(text: str, end: int, start: int) -> bool:
    return text[end:start].strip() in {".", ":"}


def references_to(wanted: Target, sources: Mapping[str, str], *, declaration: bool) -> Iterator[Place]:
    """Everywhere that sprocs name it."""
    for name, text in sources.items():
        if wanted.member:
            if name == wanted.sproc and declaration:
                yield from (Place(name, one.start, one.end) for one in members(text) if one.name == wanted.member)
            for library, start in members_used(text):
                end = start + len(wanted.member)
                if (
                    library == wanted.sproc
                    and text[start:end] == wanted.member
                    and not text[end : end + 1].isidentifier()
                ):
                    yield Place(name, start, end)
        elif wanted.sproc in text:
            yield from _named(name, text, wanted.sproc)
    if declaration and not wanted.member and wanted.sproc in sources:
        yield Place(wanted.sproc, 0, 0)


def _named(name: str, text: str, sproc: str) -> Iterator[Place]:
    lines = Lines(text)
    for one in references(text.encode("utf-8", "surrogateescape")):
        if one.what in {"require", "call", "enqueue"} and one.name == sproc:
            yield Place(name, *lines.offsets(one.range))


def definition(wanted: Target, sources: Mapping[str, str]) -> Place | None:
    """Where it is defined."""
    text = sources.get(wanted.sproc)
    if text is None:
        return None
    if not wanted.member:
        return Place(wanted.sproc, 0, 0)
    found = next((one for one in members(text) if one.name == wanted.member), None)
    return Place(wanted.sproc, found.start, found.end) if found else None


def renamed(places: Iterable[Place], new: str) -> dict[str, list[tuple[int, int, str]]]:
    """The changes of each sproc's text that give places another name."""
    changes: dict[str, list[tuple[int, int, str]]] = {}
    for one in places:
        if one.end > one.start:
            changes.setdefault(one.sproc, []).append((one.start, one.end, new))
    return changes
