"""Values as the debuggers write them: read for lists, and written as Lua again. Pure."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_KEY = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SCALAR = re.compile(r'"(?:\\.|[^"\\])*"|[^;={}\[\]]+', re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\\n", "r": "\\r", "t": "\\t", "a": "\\a", "b": "\\b", '"': '\\"', "\\": "\\\\"}
_NO_LITERAL = re.compile(r'"?(?:function|thread|userdata|unknown)@')
_NAME = re.compile(r"(?<![\w.:])[A-Za-z_]\w*")
_TEXTS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_WORDS = frozenset(
    ["and", "or", "not", "nil", "true", "false", "function", "return", "local", "if", "then", "else", "end"]
)
DEPTH_LIMIT = 50


class Value(NamedTuple):
    """A value. `text`: as it is shown; `fields`: those of a table, each by the key's text; None of any other value.

    `cut`: the debugger shows its beginning alone.
    """

    text: str
    fields: dict[str, Value] | None = None
    cut: bool = False

    @property
    def true(self) -> bool:
        """Whether Lua takes it as true."""
        return self.text not in {"nil", "false"}


def parse(text: str, *, bare: bool = False) -> Value:
    """A value from LDB's way to write it: `{1; 2}`, `{["a"]=1; [1]="x"}`.

    `bare`: strings have no quotes, as Valkey writes them.
    """
    try:
        found, end = _value(text, 0, 0, bare)
    except (ValueError, IndexError):
        return Value(text)
    return found if end >= len(text) else Value(text)


def _value(text: str, at: int, depth: int, bare: bool) -> tuple[Value, int]:
    if depth > DEPTH_LIMIT:
        raise ValueError("nested too deep")
    if bare and text.startswith(('{"', "["), at) and (end := _json_end(text, at)):
        return Value(text[at:end]), end
    if text[at : at + 1] != "{":
        found = _SCALAR.match(text, at)
        if not found:
            raise ValueError("no value is there")
        return Value(found[0].strip()), found.end()
    fields: dict[str, Value] = {}
    at, number = at + 1, 1
    while text[at] != "}":
        if text[at] in "; ":
            at += 1
        elif text[at] == "[" and not (bare and _json_end(text, at)):
            key, at = _value(text, at + 1, depth + 1, bare)
            fields[key.text], at = _value(text, text.index("=", at) + 1, depth + 1, bare)
        else:
            fields[str(number)], at = _value(text, at, depth + 1, bare)
            number += 1
    return Value(summary(fields), fields), at + 1


def _json_end(text: str, at: int) -> int:
    """Where a JSON text ends that stands there, behind which nothing but a value's end can be; 0 for none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return 0
    return end if text[end : end + 1] in {"", ";", "}"} else 0


def summary(fields: dict[str, Value]) -> str:
    """A table in a few characters."""
    shown = ", ".join(
        one.text if name.isdigit() else f"{name.strip(chr(34))}={one.text}" for name, one in list(fields.items())[:6]
    )
    return f"{{{shown[:80]}{'…' if len(shown) > 80 or len(fields) > 6 else ''}}}"


def literal(value: Value, *, texts: bool = False) -> str | None:
    """Lua code that makes a value again; None of a function, or what else can't be written.

    `texts`: what looks like a number is a string, of a server that writes both alike.
    """
    if value.fields is not None:
        made = {_key(key): literal(one, texts=texts) for key, one in value.fields.items()}
        return f"{{{', '.join(f'[{key}] = {one}' for key, one in made.items() if one is not None)}}}"
    if value.text in {"nil", "true", "false"} or (not texts and _NUMBER.fullmatch(value.text)):
        return value.text
    if _NO_LITERAL.match(value.text):
        return None
    if _STRING.fullmatch(value.text):
        return f'"{_ESCAPE.sub(_escaped, value.text[1:-1])}"'
    return quoted(value.text)


def _key(text: str) -> str:
    if _NUMBER.fullmatch(text) or text in {"true", "false"}:
        return text
    return f'"{_ESCAPE.sub(_escaped, text[1:-1])}"' if _STRING.fullmatch(text) else quoted(text)


def _escaped(found: re.Match[str]) -> str:
    word = found[1]
    return f"\\{int(word[1:], 16):03d}" if len(word) == 3 else _ESCAPES.get(word, word)


def quoted(text: str) -> str:
    """A string of Lua, whatever its bytes."""
    return '"' + "".join(f"\\{one:03d}" for one in text.encode("utf-8", "surrogateescape")) + '"'


def names_in(expression: str) -> list[str]:
    """The names that an expression may take from locals, as far as one can tell without a parser."""
    found = _NAME.findall(_TEXTS.sub('""', expression))
    return list(dict.fromkeys(name for name in found if name not in _WORDS))


def is_name(text: str) -> bool:
    """Whether an expression is a name alone."""
    return _KEY.fullmatch(text) is not None and text not in _WORDS
