"""Lua 5.1 by lupa, the only module that knows it: compiles sprocs as the engine does, and never runs one.

What the server's sandbox would refuse is found in the bytecode, where comments and strings can't be mistaken
for code.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lupa import lua51

from luasprocs.bytecode import (
    CALL,
    CLOSURE,
    CONSTANT_BIT,
    GETGLOBAL,
    GETTABLE,
    GETUPVAL,
    LOADK,
    MOVE,
    SETGLOBAL,
    SETLIST,
    TAILCALL,
    Function,
    Instruction,
    read_chunk,
)
from luasprocs.errors import Problem
from luasprocs.values import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = b"local KEYS, ARGV, sproc, require, redis = ...; "  # the engine's, on the source's first line
_REQUIRE_REGISTER, _REDIS_REGISTER = 3, 4  # where it puts them

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
_MESSAGE = re.compile(rb"s:(\d+): (.*)", re.DOTALL)
_NEAR = re.compile(rb"(.*?) near '(.*)'", re.DOTALL)
_LINE_END = re.compile(rb"\r\n?|\n\r?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MESSAGE_CHARS = 300
_COLUMNS_LIMIT = 10_000  # in longer lines nothing is looked for
_TOKENS_TRIED = 20
_LINES_ABOVE = 50  # a statement of more lines shows its problems in column 1
_COMPILE = b"""
local loadstring, dump = loadstring, string.dump
return function(source, dumped)
  local chunk, problem = loadstring(source, '@s')
  if not chunk then return false, problem end
  return dumped and dump(chunk) or true
end
"""


class Use(NamedTuple):
    """A name in the bytecode: what it is used for, its line, and for a command the literal after it."""

    what: str
    name: str
    line: int
    literal: str = ""


def syntax_problems(path: str, source: bytes) -> list[Problem]:
    """What Lua 5.1 says to a source, with the file's own line and a column; one problem at most, its first."""
    refused = _refusal(source)
    if refused is None:
        return []
    line, message = refused
    near = _NEAR.fullmatch(message)
    column = _column_of_token(source, line, near[2], refused) if near else 1
    return [Problem(path, line, column, _text(message))]


def misuse_problems(path: str, source: bytes, runasync: bool) -> list[Problem]:
    """What compiles, but fails when it gets there: commands that no server has; on the server also globals.

    `kind` of each is "misuse". Empty for a source that doesn't compile.
    """
    found = list(dict.fromkeys(uses(source)))
    spans = _line_spans(source)
    own = {use.name for use in found if use.what == "write"}
    problems = []
    for use in found:
        message = (
            _command_misuse(use, runasync)
            if use.what == "command"
            else None
            if runasync
            else _global_misuse(use, own)
        )
        if message:
            line, column = _place_of(source, use, spans)
            problems.append(Problem(path, line, column, message, "misuse"))
    return sorted(set(problems))


def required(source: bytes) -> list[tuple[str, int, int]]:
    """The literals that a source gives to `require`, with line and column; empty when it doesn't compile."""
    if b"require" not in source:
        return []
    spans = _line_spans(source)
    return [(use.name, *_place_of(source, use, spans)) for use in uses(source) if use.what == "require"]


def uses(source: bytes) -> Iterator[Use]:
    """The globals read and written, Redis commands and required names of a source that compiles."""
    dumped = _compiler()(PREFIX + source, True)
    if isinstance(dumped, bytes):
        main = read_chunk(dumped)
        for function in main.walk():
            yield from _uses_in(function, main=function is main)


@cache
def _compiler() -> Callable[[bytes, bool], Any]:
    """The one Lua state of this process; it only ever compiles."""
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    compiler: Callable[[bytes, bool], Any] = runtime.execute(_COMPILE)
    return compiler


def _refusal(source: bytes) -> tuple[int, bytes] | None:
    """The line and message of what is wrong; None when it compiles."""
    answer = _compiler()(PREFIX + source, False)
    if answer is True:
        return None
    found = _MESSAGE.fullmatch(answer[1])
    return (int(found[1]), found[2]) if found else (1, answer[1])


def _uses_in(function: Function, *, main: bool) -> Iterator[Use]:
    code = function.code
    for at, step in enumerate(code):
        if at and code[at - 1].op == SETLIST and code[at - 1].c == 0:
            continue  # no instruction: a number too large for the one before it
        if step.op == SETGLOBAL:
            yield Use(
                "write", _name(function, step.bx), step.line, "function" if _is_closure(code, at) else ""
            )
        elif step.op == GETGLOBAL:
            yield Use("read", _name(function, step.bx), step.line, _field(function, code[at + 1], step.a))
        elif step.op == GETTABLE and _field(function, step, step.b) in {"call", "pcall"}:
            if _name_in(function, at - 1, step.b, main=main) in {"redis", "server"}:
                yield from _call_of(function, at + 1, step.a, "command")
        elif (main and step.op == MOVE and step.b == _REQUIRE_REGISTER) or (
            step.op == GETUPVAL and function.upvalues[step.b] == b"require"
        ):
            yield from _call_of(function, at + 1, step.a, "require")


def _field(function: Function, step: Instruction, register: int) -> str:
    """The field that an instruction takes from the table in a register, if it does and the field is a literal."""
    taken = step.op == GETTABLE and step.b == register and step.c & CONSTANT_BIT
    return _name(function, step.c - CONSTANT_BIT) if taken else ""


def _name_in(function: Function, at: int, register: int, *, main: bool) -> str:
    """The name of what is in a register, if the instruction at `at` loads it or it is the main function's `redis`."""
    if main and register == _REDIS_REGISTER:
        return "redis"
    load = function.code[at]
    if at < 0 or load.a != register:
        return ""
    if load.op == GETUPVAL:
        return function.upvalues[load.b].decode("utf-8", "surrogateescape")
    return _name(function, load.bx) if load.op == GETGLOBAL else ""


def _call_of(function: Function, at: int, register: int, what: str) -> Iterator[Use]:
    """The use, if what is in a register is called with a literal string, which the instruction at `at` loads."""
    load = function.code[at]
    if load.op != LOADK or load.a != register + 1 or not isinstance(function.constants[load.bx], bytes):
        return
    for step in function.code[at + 1 :]:
        if step.a == register and step.op in {CALL, TAILCALL}:
            yield Use(what, _name(function, load.bx), load.line)
            return
        if step.a in {register, register + 1}:
            return  # something else becomes of the literal, as in redis.call('S' .. 'ET')


def _is_closure(code: tuple[Instruction, ...], at: int) -> bool:
    before = at - 1
    while before > 0 and code[before].op in {MOVE, GETUPVAL}:  # what the closure captures
        before -= 1
    return before >= 0 and code[before].op == CLOSURE and code[before].a == code[at].a


def _name(function: Function, constant: int) -> str:
    value = function.constants[constant]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


def _global_misuse(use: Use, own: set[str]) -> str | None:
    if use.what == "write":
        if use.literal:
            return (
                f"function {use.name} is global, which the server refuses: write `local function {use.name}`"
            )
        return f"{use.name} is written as a global, which the server refuses: write `local {use.name}`"
    if use.what != "read" or use.name in own:
        return None
    if use.name == "os" and use.literal not in {"", "clock"}:
        return f"the server has no os.{use.literal}: {_INSTEAD['os']}"
    if use.name in GLOBALS:
        return None
    right = f": {_INSTEAD[use.name]}" if use.name in _INSTEAD else nearest(use.name, GLOBALS)
    return f"the server has no global {shown(use.name)}{right}"


def _command_misuse(use: Use, runasync: bool) -> str | None:
    name = use.name.lower()
    known = _commands().get(name)
    if "." in name or known == "":
        return None
    if known is None:
        return f"no Redis or Valkey has a command {shown(use.name)}{nearest(name, _commands())}"
    return None if runasync else f"no server lets a script call {use.name.upper()}"


@cache
def _commands() -> dict[str, str]:
    """Every command, in lower case: "", or "noscript"."""
    text = Path(__file__).with_name("commands.txt").read_text(encoding="ascii")
    parts = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: mark for name, _, mark in parts}


def _line_spans(source: bytes) -> list[tuple[int, int]]:
    """Where each line starts and ends, as Lua counts lines."""
    ends = [end.span() for end in _LINE_END.finditer(source)]
    return list(
        zip([0, *(end for _, end in ends)], [*(start for start, _ in ends), len(source)], strict=True)
    )


def _column(source: bytes, line_at: int, at: int) -> int:
    return len(source[line_at:at].decode("utf-8", "surrogateescape")) + 1


def _column_of_token(source: bytes, line: int, token: bytes, refused: tuple[int, bytes]) -> int:
    """The column of the token that Lua stopped at: the first of its kind up to which it says the same."""
    start, end = _line_spans(source)[line - 1]
    if token == b"<eof>":
        return _column(source, start, end)
    if found := re.fullmatch(rb"char\((\d+)\)", token):
        token = bytes([int(found[1])])
    token = _LINE_END.split(token)[0]
    word = re.compile(rb"(?<!\w)%s(?!\w)" % re.escape(token) if token.isalnum() else re.escape(token))
    if end - start > _COLUMNS_LIMIT:
        return 1
    found_at = [place.span() for place in word.finditer(source, start, end)]
    for token_at, token_end in found_at[:_TOKENS_TRIED]:
        if _refusal(source[:token_end]) == refused:
            return _column(source, start, token_at)
    return _column(source, start, found_at[-1][0]) if found_at else 1


def _place_of(source: bytes, use: Use, spans: list[tuple[int, int]]) -> tuple[int, int]:
    """Line and column of a name: on the line that the bytecode says, or just above (a statement may have several)."""
    name = re.escape(use.name.encode("utf-8", "surrogateescape"))
    word = re.compile(
        (rb"(?<=[\"'\[])%s(?=[\"'\]])" if use.what in {"command", "require"} else rb"(?<![\w.:])%s(?!\w)")
        % name
    )
    for line in range(use.line, max(use.line - _LINES_ABOVE, 0), -1):
        start, end = spans[line - 1]
        found = word.search(source, start, end) if end - start <= _COLUMNS_LIMIT else None
        if found:
            return line, _column(source, start, found.start())
    return use.line, 1


def _text(message: bytes) -> str:
    """Lua's message on one line, without control characters, not long."""
    return _CONTROL.sub("?", message.decode("utf-8", "replace"))[:_MESSAGE_CHARS]
