"""Lua 5.1 by lupa, the only module that knows it: compiles sprocs as the engine does, and never runs one."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from lupa import lua51

from luasprocs.language.bytecode import Use, uses_of
from luasprocs.language.places import Lines, Range
from luasprocs.language.problems import problem
from luasprocs.language.shebang import compilable

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.errors import Problem

LOCALS = ("KEYS", "ARGV", "sproc", "require", "redis")
PREFIX = f"local {', '.join(LOCALS)} = ...; ".encode()  # the engine's, on the source's first line
ROOMY = f"local {', '.join(LOCALS[:-1])} = ...; return function() ".encode()
"""The same for a source that needs as many locals and upvalues as EVAL gives it: engine/eval.lua says more."""

_MESSAGE = re.compile(rb"s:(\d+): (.*)", re.DOTALL)
_NEAR = re.compile(rb"(.*?) near '(.*)'", re.DOTALL)
_LINE_END = re.compile(rb"\r\n?|\n\r?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MESSAGE_CHARS = 300
_NO_ROOM = b" has more than "  # … 200 local variables, 60 upvalues
_COLUMNS_LIMIT = 10_000  # in longer lines nothing is looked for
_TOKENS_TRIED = 20
_COMPILE = b"""
local loadstring, dump = loadstring, string.dump
return function(source)
  local chunk, problem = loadstring(source, '@s')
  if not chunk then return false, problem end
  return dump(chunk)
end
"""


def syntax_problems(path: str, source: bytes) -> list[Problem]:
    """What Lua 5.1 says to a source, where the file has it: one problem at most, the first."""
    refused = _refusal(source)
    if refused is None:
        return []
    place = _place_of(source, refused)
    return [problem(path, "lua.syntax", _text(_whole_character(refused[1], source, place)), place)]


def uses(source: bytes) -> list[Use]:
    """The globals, Redis commands, libraries and sprocs that a source names, each with its line; none if it doesn't compile."""
    dumped, _ = _compiled(source)
    return list(dict.fromkeys(uses_of(dumped, LOCALS))) if isinstance(dumped, bytes) else []


def globals_of_eval(source: bytes) -> list[Use]:
    """The globals that a source reads under EVAL, where `sproc` and `require` are such; none if it doesn't compile."""
    dumped = _compiler()(compilable(source))
    return [use for use in uses_of(dumped, ()) if use.what == "read"] if isinstance(dumped, bytes) else []


def dumped(source: bytes) -> bytes:
    """A source as Lua's bytecode, with the names of its locals; nothing if it doesn't compile."""
    found, _ = _compiled(source)
    return found if isinstance(found, bytes) else b""


@cache
def _compiler() -> Callable[[bytes], Any]:
    """The one Lua state of this process; it only ever compiles."""
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    compiler: Callable[[bytes], Any] = runtime.execute(_COMPILE)
    return compiler


def _refusal(source: bytes) -> tuple[int, bytes] | None:
    """The line and message of what is wrong; None when it compiles."""
    compiled, message = _compiled(source)
    if compiled:
        return None
    found = _MESSAGE.fullmatch(message)
    return (int(found[1]), found[2]) if found else (1, message)


@lru_cache(maxsize=2)  # whether it compiles and what it names are asked one after the other
def _compiled(source: bytes) -> tuple[Any, bytes]:
    """Bytecode; or False and what Lua says."""
    source = compilable(source)
    answer = _compiler()(PREFIX + source)
    if isinstance(answer, tuple) and _NO_ROOM in answer[1]:
        answer = _compiler()(ROOMY + source + b"\nend")
    return answer if isinstance(answer, tuple) else (answer, b"")


def _place_of(source: bytes, refused: tuple[int, bytes]) -> Range:
    """The token that Lua stopped at, or the whole line if it names none that stands there."""
    text = source.decode("utf-8", "surrogateescape")
    lines = Lines(text)
    start, end = lines.span(refused[0])
    end = start + len(text[start:end].rstrip("\r\n"))
    near = _NEAR.fullmatch(refused[1])
    if near and near[2] == b"<eof>":
        return lines.range(end, end)
    found = _token_in(text[:end], start, near[2], refused) if near and end - start <= _COLUMNS_LIMIT else None
    return lines.range(*(found or (start, end)))


def _token_in(text: str, line_at: int, token: bytes, refused: tuple[int, bytes]) -> tuple[int, int] | None:
    """Where the token stands on the text's last line: the first of its kind up to which Lua says the same."""
    if char := re.fullmatch(rb"char\((\d+)\)", token):
        token = bytes([int(char[1])])
    token = _LINE_END.split(token)[0]
    bounded = rb"(?<!\w)%s(?!\w)" if re.fullmatch(rb"\w+", token) else rb"%s"
    word = re.compile(bounded % re.escape(token))
    source = text.encode("utf-8", "surrogateescape")
    at = len(text[:line_at].encode("utf-8", "surrogateescape"))
    spans = [found.span() for found in word.finditer(source, at)]
    same = (span for span in spans[:_TOKENS_TRIED] if _refusal(source[: span[1]]) == refused)
    found = next(same, spans[-1] if spans else None)
    if found is None:
        return None
    start, end = (len(source[:place].decode("utf-8", "surrogateescape")) for place in found)
    return start, end


def _whole_character(message: bytes, source: bytes, place: Range) -> bytes:
    """The message with a character that is not ASCII whole: Lua names its first byte alone."""
    near = _NEAR.fullmatch(message)
    if not near or len(near[2]) != 1 or near[2] < b"\x80":
        return message
    character = Lines(source.decode("utf-8", "surrogateescape")).slice(place)[:1].encode("utf-8", "surrogateescape")
    return b"%s near '%s'" % (near[1], character) if character.startswith(near[2]) else message


def _text(message: bytes) -> str:
    """Lua's message on one line, without control characters, not long."""
    return _CONTROL.sub("?", message.decode("utf-8", "replace"))[:_MESSAGE_CHARS]
