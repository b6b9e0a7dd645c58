"""What a sproc sees, as a file of declarations for language servers of Lua: LuaLS and EmmyLua read it, nothing runs it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luasprocs.language.editor.words import LOCALS, MEMBERS
from luasprocs.language.sandbox import MEMBERS as SANDBOX
from luasprocs.language.sandbox import commands as known_commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from luasprocs.language.editor.command_docs import CommandDoc
    from luasprocs.language.editor.words import Known

_HEAD = """\
---@meta
-- Written by luasprocs init: what a sproc sees, for language servers of Lua. Nothing runs this file.
-- The commands are those of {server}.
"""
_COMMAND = re.compile(r"[\w.:-]+", re.ASCII)
_TYPES = {
    "args": "(string|number)[]?",
    "command": "redis.command",
    "format": "string",
    "keys": "string[]?",
    "level": "integer",
    "name": "string",
    "text": "string",
    "value": "any",
    "version": "2|3",
    "what": "integer",
    "…": "any",
}
"""Of parameters, by name."""
_RETURNS = {
    "sproc.enqueue": "string?",
    "redis.error_reply": "{ err: string }",
    "redis.status_reply": "{ ok: string }",
    "redis.sha1hex": "string",
    "redis.log": "",
    "redis.setresp": "",
    "redis.set_repl": "",
    "redis.acl_check_cmd": "boolean",
    "cjson.encode": "string",
    "cmsgpack.pack": "string",
    "struct.pack": "string",
    "struct.size": "integer",
    "require": "table",
}
"""Of functions that don't return just anything; "" for nothing."""
_VALUES = {
    "sproc.attempt": "integer?",
    "sproc.cut": "string?",
    "sproc.id": "string?",
    "sproc.shard": "string?",
    "cjson.null": "userdata",
}
_LUA = frozenset({"coroutine", "math", "os", "string", "table", "_G"})
"""Tables of Lua's own, which language servers know."""


def meta_library(commands: Mapping[str, CommandDoc], server: str) -> str:
    """The file's text. `server`: whose commands these are."""
    return "\n".join([_HEAD.format(server=server), *_locals(), *_tables(), *_commands(commands)])


def _locals() -> Iterator[str]:
    for name, found in LOCALS.items():
        if found.parameters is None:
            yield f"---{found.doc}\n---@type string[]\n{name} = {{}}\n"


def _tables() -> Iterator[str]:
    tables = dict.fromkeys(name.partition(".")[0] for name in MEMBERS)
    for table in (*tables, *(name for name in SANDBOX if SANDBOX[name] and name not in {*tables, *_LUA, "server"})):
        yield f"---@class {table}lib\n{table} = {{}}\n"
        own = {name.partition(".")[2]: known for name, known in MEMBERS.items() if name.startswith(f"{table}.")}
        for name in sorted(own | dict.fromkeys(SANDBOX.get(table, ()))):
            yield _member(f"{table}.{name}", own.get(name))
    yield "---Valkey's name for `redis`.\nserver = redis\n"


def _member(name: str, known: Known | None) -> str:
    if known is None:
        constant = name.partition(".")[2].lstrip("_").isupper()
        return (
            f"---@type any\n{name} = nil\n"
            if constant
            else f"---@param ... any\n---@return any\nfunction {name}(...) end\n"
        )
    doc = f"---{known.doc}\n"
    if known.parameters is None:
        return f"{doc}---@type {_VALUES.get(name, 'string')}\n{name} = nil\n"
    told = "".join(f"---@param {_written(one)} {_TYPES[one]}\n" for one in known.parameters)
    returns = _RETURNS.get(name, "any")
    back = f"---@return {returns}\n" if returns else ""
    return f"{doc}{told}{back}function {name}({', '.join(map(_written, known.parameters))}) end\n"


def _written(parameter: str) -> str:
    return "..." if parameter == "…" else parameter


def _commands(commands: Mapping[str, CommandDoc]) -> Iterator[str]:
    marks = known_commands()
    lines = [
        # What a module says of itself may have any characters.
        f'---| "{doc.name}" # {" ".join(f"{doc.summary} `{doc.syntax}`".split())}'
        for name, doc in sorted(commands.items())
        if _COMMAND.fullmatch(name) and marks.get(name) != "noscript"
    ]
    yield "\n".join(["---@alias redis.command string", *lines]) + "\n"
