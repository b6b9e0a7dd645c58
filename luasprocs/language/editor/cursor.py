"""What a place in a sproc's text is of: a header's key or value, a command, a library's or a sproc's name, a member. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.fields import comment_at
from luasprocs.language.tokens import inside

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    What: TypeAlias = Literal["key", "value", "command", "subcommand", "require", "sproc", "member", "name", "nothing"]

_BEFORE_CHARS = 400
_KEY = re.compile(r"[ \t]*@?(?P<typed>[A-Za-z_]\w*)?$")
_VALUE = re.compile(r"[ \t]*(?:([A-Za-z_]\w*)=|@([A-Za-z_]\w*)[ \t]+)(.*)$")
_LITERALS = (
    (
        "subcommand",
        re.compile(r"""\b(?:redis|server)\s*\.\s*p?call\s*\(\s*(['"])(\w+)\1\s*,\s*(['"])(?P<typed>[\w-]*)$"""),
    ),
    ("command", re.compile(r"""\b(?:redis|server)\s*\.\s*p?call\s*\(\s*(['"])(?P<typed>[\w.-]*)$""")),
    ("require", re.compile(r"""\brequire\s*\(?\s*(['"])(?P<typed>[^'"\r\n]*)$""")),
    ("sproc", re.compile(r"""\bsproc\s*\.\s*(?:call|enqueue)\s*\(\s*(['"])(?P<typed>[^'"\r\n]*)$""")),
)
_MEMBER = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)\s*[.:]\s*(?P<typed>\w*)$")
_NAME = re.compile(r"(?<![\w.:])(?P<typed>[A-Za-z_]\w*)$")


class Cursor(NamedTuple):
    """`of`: the key of a value, the command of a subcommand, the table of a member.

    `typed`: what stands before the place, from `start`.
    """

    what: What
    typed: str = ""
    start: int = 0
    of: str = ""


def cursor(text: str, at: int) -> Cursor:
    """What somebody who types there is about to write."""
    line_at = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    before = text[max(line_at, at - _BEFORE_CHARS) : at]
    if comment := comment_at(text, at):
        return _in_header(text[max(line_at, comment[0], at - _BEFORE_CHARS) : at], at)
    if where := inside(text, at):
        return _in_literal(before, at) if where == "string" else Cursor("nothing")
    if found := _MEMBER.search(before):
        return Cursor("member", found["typed"], at - len(found["typed"]), found[1])
    if found := _NAME.search(before):
        return Cursor("name", found["typed"], at - len(found["typed"]))
    return Cursor("nothing")


def _in_header(before: str, at: int) -> Cursor:
    if found := _VALUE.match(before):
        typed = found[3].rpartition(",")[2].lstrip()
        return Cursor("value", typed, at - len(typed), found[1] or found[2])
    if found := _KEY.match(before):
        typed = found["typed"] or ""
        return Cursor("key", typed, at - len(typed))
    return Cursor("nothing")


def _in_literal(before: str, at: int) -> Cursor:
    for what, form in _LITERALS:
        if found := form.search(before):
            typed = found["typed"]
            of = found[2] if what == "subcommand" else ""
            return Cursor(what, typed, at - len(typed), of)  # type: ignore[arg-type]  # the table's words are those of What
    return Cursor("nothing")
