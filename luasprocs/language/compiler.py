"""Lua 5.1 by lupa, the only module that knows it: compiles sprocs as the engine does, and never runs one.

What the server's sandbox would refuse is found in the bytecode, where comments and strings can't be mistaken
for code.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lupa import lua51

from luasprocs.errors import Problem
from luasprocs.language.bytecode import Use, uses_of
from luasprocs.language.values import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable

LOCALS = ("KEYS", "ARGV", "sproc", "require", "redis")
PREFIX = f"local {', '.join(LOCALS)} = ...; ".encode()  # the engine's, on the source's first line

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


def syntax_problems(path: str, source: bytes) -> list[Problem]:
    """What Lua 5.1 says to a source, with the file's line and a column: one problem at most, the first."""
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
    found = uses(source)
    spans = _line_spans(source)
    written = {use.name for use in found if use.what == "write"}
    problems = set()
    for use in found:
        if message := _misuse(use, written, runasync=runasync):
            problems.add(Problem(path, *_place_of(source, use, spans), message, "misuse"))
    return sorted(problems)


def required(source: bytes) -> list[tuple[str, int, int]]:
    """The literals that a source gives to `require`, with line and column; empty when it doesn't compile."""
    if b"require" not in source:
        return []
    spans = _line_spans(source)
    return [(use.name, *_place_of(source, use, spans)) for use in uses(source) if use.what == "require"]


def uses(source: bytes) -> list[Use]:
    """The globals, Redis commands and required names that a source uses; none when it doesn't compile."""
    dumped = _compiler()(PREFIX + source, True)
    return list(dict.fromkeys(uses_of(dumped, LOCALS))) if isinstance(dumped, bytes) else []


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


def _misuse(use: Use, written: set[str], *, runasync: bool) -> str | None:
    if use.what == "command":
        return _command_misuse(use.name, runasync=runasync)
    if runasync:
        return None
    if use.what == "write":
        return _write_misuse(use)
    return _read_misuse(use) if use.what == "read" and use.name not in written else None


def _write_misuse(use: Use) -> str:
    if use.detail:
        return f"function {use.name} is global, which the server refuses: write `local function {use.name}`"
    return f"{use.name} is written as a global, which the server refuses: write `local {use.name}`"


def _read_misuse(use: Use) -> str | None:
    if use.name == "os" and use.detail not in {"", "clock"}:
        return f"the server has no os.{use.detail}: {_INSTEAD['os']}"
    if use.name in GLOBALS:
        return None
    right = f": {_INSTEAD[use.name]}" if use.name in _INSTEAD else nearest(use.name, GLOBALS)
    return f"the server has no global {shown(use.name)}{right}"


def _command_misuse(command: str, *, runasync: bool) -> str | None:
    name = command.lower()
    known = _commands().get(name)
    if "." in name or known == "":  # a module's commands have a dot
        return None
    if known is None:
        return f"no Redis or Valkey has a command {shown(command)}{nearest(name, _commands())}"
    return None if runasync else f"no server lets a script call {command.upper()}"


@cache
def _commands() -> dict[str, str]:
    """Every command, in lower case: "", or "noscript"."""
    text = Path(__file__).with_name("commands.txt").read_text(encoding="ascii")
    parts = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: mark for name, _, mark in parts}


def _line_spans(source: bytes) -> list[tuple[int, int]]:
    """Where each line starts and ends, as Lua counts lines."""
    start, spans = 0, []
    for end in _LINE_END.finditer(source):
        spans.append((start, end.start()))
        start = end.end()
    return [*spans, (start, len(source))]


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
    bounded = rb"(?<!\w)%s(?!\w)" if re.fullmatch(rb"\w+", token) else rb"%s"
    word = re.compile(bounded % re.escape(token))
    if end - start > _COLUMNS_LIMIT:
        return 1
    found_at = [place.span() for place in word.finditer(source, start, end)]
    for token_at, token_end in found_at[:_TOKENS_TRIED]:
        if _refusal(source[:token_end]) == refused:
            return _column(source, start, token_at)
    return _column(source, start, found_at[-1][0]) if found_at else 1


def _place_of(source: bytes, use: Use, spans: list[tuple[int, int]]) -> tuple[int, int]:
    """Line and column of a name: on the line that the bytecode says, or above it in a statement of several."""
    literal = use.what in {"command", "require"}
    around = rb"(?<=[\"'\[])%s(?=[\"'\]])" if literal else rb"(?<![\w.:])%s(?!\w)"
    word = re.compile(around % re.escape(use.name.encode("utf-8", "surrogateescape")))
    for line in range(use.line, max(use.line - _LINES_ABOVE, 0), -1):
        start, end = spans[line - 1]
        found = word.search(source, start, end) if end - start <= _COLUMNS_LIMIT else None
        if found:
            return line, _column(source, start, found.start())
    return use.line, 1


def _text(message: bytes) -> str:
    """Lua's message on one line, without control characters, not long."""
    return _CONTROL.sub("?", message.decode("utf-8", "replace"))[:_MESSAGE_CHARS]
