"""What can be written at a place of a sproc: keys and their values, commands, names, members. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.metadata import KEYS
from luasprocs.language.editor.cursor import Cursor, cursor
from luasprocs.language.editor.navigation import bound, members
from luasprocs.language.editor.words import KEY_DOCS, LOCALS, MEMBERS, call_of, member
from luasprocs.language.header import fields_of
from luasprocs.language.metadata import expected
from luasprocs.language.places import Lines
from luasprocs.language.sandbox import GLOBALS
from luasprocs.language.sandbox import MEMBERS as SANDBOX
from luasprocs.language.sandbox import commands as known_commands
from luasprocs.language.tokens import KEYWORDS, tokens
from luasprocs.language.values import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Literal, TypeAlias

    from luasprocs.language.editor.command_docs import CommandDoc

    Kind: TypeAlias = Literal["key", "value", "command", "library", "sproc", "function", "field", "keyword", "name"]

_WRITTEN: Mapping[str, tuple[str, ...]] = {
    "flag": ("yes", "no"),
    "cron": ("*/5 * * * *", "0 3 * * *", "*/15 * * * * *", "@hourly", "@daily", "@weekly", "@monthly", "@yearly"),
    "duration": ("500ms", "1s", "15s", "1m", "5m", "1h", "1d"),
    "size": ("16MB", "64MB", "256MB", "1GB"),
    "types": ("string", "hash", "list", "set", "zset", "stream"),
    "events": ("*", *sorted(EVENTS)),
    "place": ("each",),
    "number": ("0", "1", "3", "5"),
}
"""Values that people write, by the kind of a key."""
_PARAMETERS = re.compile(r"\s*(?:=\s*function\s*)?\(([^()]*)\)")


class Item(NamedTuple):
    """`label` is shown, `insert` written in place of what was typed, from `start`."""

    label: str
    kind: Kind
    start: int
    insert: str
    detail: str = ""
    doc: str = ""


class Names(NamedTuple):
    """What a workspace has, each with its description: libraries; all other sprocs. Time zones, and a sproc's text, on demand."""

    libraries: Mapping[str, str]
    sprocs: Mapping[str, str]
    zones: Callable[[], Iterable[str]]
    text: Callable[[str], str | None]


def complete(text: str, at: int, names: Names, commands: Mapping[str, CommandDoc]) -> list[Item]:
    """What may be written at a place; clients filter by what was typed."""
    here = cursor(text, at)
    start = here.start
    found: Iterable[Item] = ()
    match here.what:
        case "key":
            found = _keys(text, here)
        case "value":
            found = (Item(one, "value", start, one) for one in _values(here.of, names))
        case "command" | "subcommand":
            found = _commands(here, commands)
        case "require":
            found = (Item(name, "library", start, name, "library", doc) for name, doc in names.libraries.items())
        case "sproc":
            found = (Item(name, "sproc", start, name, "sproc", doc) for name, doc in names.sprocs.items())
        case "member":
            library = bound(text).get(here.of)
            found = _of_library(names.text(library) or "", start) if library else _members(here.of, start)
        case "name":
            found = _names(text, here.typed, start)
    return list(found)


def _keys(text: str, here: Cursor) -> Iterator[Item]:
    taken = {one.key for one in fields_of(text, Lines(text))} - {here.typed}
    for key in KEYS:
        if key not in taken:
            yield Item(key, "key", here.start, f"{key}=", expected(key), KEY_DOCS.get(key, ""))


def _commands(here: Cursor, docs: Mapping[str, CommandDoc]) -> Iterator[Item]:
    """Those that a script may call; of a command its subcommands."""
    head, marks = f"{here.of.lower()}|" if here.of else "", known_commands()
    for name, doc in docs.items():
        word = name.removeprefix(head).upper()
        if name.startswith(head) and "|" not in word and marks.get(name) != "noscript":
            yield Item(word, "command", here.start, word, doc.group, doc.markdown)


def _values(key: str, names: Names) -> Iterable[str]:
    if key in KEYS and KEYS[key].kind == "timezone":
        return sorted(names.zones())
    return values_of_key(key)


def values_of_key(key: str) -> tuple[str, ...]:
    """What people write as a key's value, without the names of time zones."""
    return KEYS[key].choices or _WRITTEN.get(KEYS[key].kind, ()) if key in KEYS else ()


def _members(table: str, start: int) -> Iterator[Item]:
    own = {name.partition(".")[2] for name in MEMBERS if name.startswith(f"{table}.")}
    for name in sorted(own | SANDBOX.get(table, frozenset())):
        found = member(table, name)
        kind: Kind = "function" if found is None or found.parameters is not None else "field"
        if name.isupper() or name.startswith("_"):
            kind = "field"
        yield Item(
            name, kind, start, name, call_of(f"{table}.{name}", found) if found else "", found.doc if found else ""
        )


def _of_library(text: str, start: int) -> Iterator[Item]:
    """What a library returns, functions with their parameters."""
    for one in members(text):
        made = _PARAMETERS.match(text, one.end)
        detail = f"{one.name}({' '.join(made[1].split())})" if made else ""
        yield Item(one.name, "function" if made else "field", start, one.name, detail)


def _names(text: str, typed: str, start: int) -> Iterator[Item]:
    for name, found in LOCALS.items():
        yield Item(
            name, "name" if found.parameters is None else "function", start, name, call_of(name, found), found.doc
        )
    for name in ("sproc", *sorted(GLOBALS)):
        yield Item(name, "name", start, name, "table" if name == "sproc" or SANDBOX.get(name) else "function")
    for word in KEYWORDS:
        yield Item(word, "keyword", start, word)
    known = {*LOCALS, *GLOBALS, *KEYWORDS, "sproc", typed}
    own = dict.fromkeys(one.value for one in tokens(text) if not one.literal and one.start != start)
    for name in own.keys() - known:
        yield Item(name, "name", start, name)
