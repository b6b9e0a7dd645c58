"""What the server's sandbox has and lets a script do: globals and commands. Pure, but for a table that is read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.language.values import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.language.references import Reference

GLOBALS = frozenset(
    {"_G", "_VERSION", "redis", "server", "cjson", "cmsgpack", "struct", "bit", "string", "table", "math"}
    | {"coroutine", "os", "assert", "collectgarbage", "error", "gcinfo", "getmetatable", "ipairs", "load"}
    | {
        "loadstring",
        "next",
        "pairs",
        "pcall",
        "rawequal",
        "rawget",
        "rawset",
        "select",
        "setmetatable",
        "tonumber",
    }
    | {"tostring", "type", "unpack", "xpcall"}
)
"""What the sandbox of Redis or Valkey has; `server`, and `os` with nothing but `clock`, are Valkey's."""

_TABLES = frozenset(
    {"_G", "redis", "server", "cjson", "cmsgpack", "struct", "bit", "string", "table", "math", "coroutine", "os"}
)
"""Those of them that nobody may write into."""

_UNKNOWN, _WRITE = "lua.unknown-global", "lua.global-write"
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
        elif one.what == "read" and not runasync and one.name not in written:
            wrong = _read(one)
        if wrong:
            yield (one, *wrong)


def _write(found: Reference) -> tuple[str, str]:
    name = found.name
    if found.detail:
        return _WRITE, f"function {name} is global, which the server refuses: write `local function {name}`"
    return _WRITE, f"{name} is written as a global, which the server refuses: write `local {name}`"


def _read(found: Reference) -> tuple[str, str] | None:
    name = found.name
    if name == "os" and found.detail not in {"", "clock"}:
        return _UNKNOWN, f"the server has no os.{found.detail}: {_INSTEAD['os']}"
    if name in GLOBALS:
        return None
    right = f": {_INSTEAD[name]}" if name in _INSTEAD else nearest(name, GLOBALS)
    return _UNKNOWN, f"the server has no global {shown(name)}{right}"


def _command(command: str, next_word: str, *, runasync: bool) -> tuple[str, str] | None:
    name = command.lower()
    known = commands().get(name)
    sub = f"{name}|{next_word.lower()}"
    if sub in commands():
        command, known = f"{command} {next_word}", "noscript"
    if "." in name or known == "":  # a module's commands have a dot
        return None
    if known is None:
        return "lua.unknown-command", f"no Redis or Valkey has a command {shown(command)}{nearest(name, _whole())}"
    return None if runasync else ("lua.forbidden-command", f"no server lets a script call {command.upper()}")


def _whole() -> list[str]:
    return [name for name in commands() if "|" not in name]


@cache
def commands() -> dict[str, str]:
    """Every command, and subcommands as `client|list`, in lower case: "", or "noscript"."""
    text = Path(__file__).with_name("commands.txt").read_text(encoding="ascii")
    parts = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: mark for name, _, mark in parts}
