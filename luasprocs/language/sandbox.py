"""What the server's sandbox has and lets a script do: globals, their members, commands. Pure, but for two tables."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from luasprocs.language.references import Reference


def _lines(file: str) -> list[str]:
    text = Path(__file__).with_name(file).read_text(encoding="ascii")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _members() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, *fields in map(str.split, _lines("globals.txt")):
        found.setdefault(name, set()).update(fields)
    return {name: frozenset(fields) for name, fields in found.items()}


MEMBERS: Mapping[str, frozenset[str]] = _members()
"""What the sandbox of Redis or Valkey has, and of each table what is in it; `server`, for one, is Valkey's."""
GLOBALS = MEMBERS.keys()

_TABLES = {"_G", *(name for name, fields in MEMBERS.items() if fields)}
"""Those of them that nobody may write into."""
_NOT_ASYNC = {"acl_check_cmd", "set_repl"}

_UNKNOWN, _WRITE = "lua.unknown-global", "lua.global-write"
_SHAPE = "lua.list-shape"
_SHAPES = {
    "zeroth": "{0}[0] is always nil: Lua counts from 1",
    "whole": "{0} is a table, which no command takes: write {0}[1], or unpack({0})",
}
_INSTEAD = {
    "print": "redis.log(redis.LOG_NOTICE, …) writes to the server's log",
    "io": "files need runasync=yes",
    "os": "redis.call('TIME') tells the time; all of os needs runasync=yes",
    "package": "require('lib/x.lua') gives a library=yes sproc",
    "dofile": "require('lib/x.lua') gives a library=yes sproc",
    "loadfile": "require('lib/x.lua') gives a library=yes sproc",
    "module": "a library=yes sproc returns a table",
    "setfenv": "the server's Lua has no environments to set",
    "getfenv": "the server's Lua has no environments to get",
    "debug": "error('', level) tells a line",
    "redis.register_function": "a file with `-- function=NAME` in its header is a function",
    "table.unpack": "unpack(…) is its name in Lua 5.1",
    "table.pack": "{ … } makes a table in Lua 5.1",
    "string.trim": "text:match('^%s*(.-)%s*$') trims",
    "string.split": "for word in text:gmatch('[^,]+') splits",
}


def misuses(found: Sequence[Reference], *, runasync: bool) -> Iterator[tuple[Reference, str, str]]:
    """What compiles, but fails when it gets there, each with its code and a message.

    Commands that no server has; if it runs on the server, also globals that the sandbox lacks or refuses to write.
    """
    written = {one.name for one in found if one.what == "write"}
    for one in found:
        wrong = None
        if one.what == "command":
            wrong = _command(one.name, one.detail, runasync=runasync)
        elif one.what == "field" and not runasync and one.name in _TABLES:
            what = f"{one.name}.{one.detail}" if one.detail else f"a field of {one.name}"
            wrong = _WRITE, f"{what} is written, which the server refuses, as {one.name} is read-only: write a local"
        elif one.what == "write" and not runasync:
            wrong = _write(one)
        elif one.what in _SHAPES:
            wrong = _SHAPE, _SHAPES[one.what].format(one.name)
        elif one.what == "member":
            wrong = _member(one.name, one.detail, runasync=runasync)
        elif one.what == "read" and not runasync and one.name not in written:
            wrong = _read(one)
        if wrong:
            yield (one, *wrong)


def _write(found: Reference) -> tuple[str, str]:
    name = found.name
    if found.detail:
        return _WRITE, f"function {name} is global, which the server refuses: write `local function {name}`"
    return _WRITE, f"assignment to the global {name}, which the server refuses: write `local {name}`"


def _read(found: Reference) -> tuple[str, str] | None:
    name = found.name
    if name == "_G" and found.detail in {"KEYS", "ARGV"}:
        return _UNKNOWN, f"{found.detail} is a local in a sproc, and no field of _G: write {found.detail}"
    if name in GLOBALS:
        return _member(name, found.detail, runasync=False)
    right = f": {_INSTEAD[name]}" if name in _INSTEAD else nearest(name, GLOBALS)
    return _UNKNOWN, f"the server has no global {shown(name)}{right}"


def _member(table: str, field: str, *, runasync: bool) -> tuple[str, str] | None:
    """What is wrong with a field that is taken from a table of the sandbox."""
    known = MEMBERS[table]
    if runasync:
        known = known - _NOT_ASYNC
    if not field or not known or field in known:
        return None
    where = "an async sproc" if runasync else "the server"
    right = _INSTEAD.get(f"{table}.{field}") or (_INSTEAD["os"] if table == "os" else "")
    return _UNKNOWN, f"{where} has no {table}.{field}{f': {right}' if right else nearest(field, known)}"


def _command(command: str, next_word: str, *, runasync: bool) -> tuple[str, str] | None:
    name = command.lower()
    known = commands().get(name)
    sub = f"{name}|{next_word.lower()}"
    if sub in commands():
        command, known = f"{command} {next_word}", "noscript"
    if "." in name or known == "":  # a module's commands have a dot
        return None
    if known is None:
        return "lua.unknown-command", f"unknown command {shown(command)}{nearest(name, _whole())}"
    return None if runasync else ("lua.forbidden-command", f"scripts may not call {command.upper()}")


def _whole() -> list[str]:
    return [name for name in commands() if "|" not in name]


@cache
def commands() -> dict[str, str]:
    """Every command, and subcommands as `client|list`, in lower case: "", or "noscript"."""
    parts = (line.partition(" ") for line in _lines("commands.txt"))
    return {name: mark for name, _, mark in parts}
