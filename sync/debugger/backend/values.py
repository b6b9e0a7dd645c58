"""Values as values.lua writes them, and as they are shown. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from luasprocs.errors import ServerError

_PART = re.compile(r"([ntfcm{])|([dso])([^;,]*)(?:,(\d+))?;")
_NAME = re.compile(r"(?<![\w.:])[A-Za-z_]\w*", re.ASCII)
_TEXTS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_HIDDEN = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]')
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_EXPRESSION = re.compile(r"^expression:\d+: ")
_LITERALS = frozenset({"nil", "true", "false", "inf", "nan"})
_WORDS = {"n": "nil", "t": "true", "f": "false", "c": "{this table, or one around it}", "m": "{…}"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.ASCII)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|(.))", re.DOTALL)
SUMMARY_FIELDS, SUMMARY_CHARS = 6, 80
SEPARATOR = ", "
"""Between several values of one expression."""


class Value(NamedTuple):
    """A value. `text`: as it is shown; `fields`: those of a table, each by the key's text; None of any other value."""

    text: str
    fields: dict[str, Value] | None = None

    @property
    def true(self) -> bool:
        """Whether Lua takes it, or the first of several, as true."""
        return self.text.partition(SEPARATOR)[0] not in {"nil", "false"}


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    @property
    def more(self) -> bool:
        return self._at < len(self._text)

    def value(self) -> Value:
        found = _PART.match(self._text, self._at)
        if not found:
            raise ValueError(f"no value is at {self._at}")
        self._at = found.end()
        word, kind, rest, whole = found.groups()
        if word == "{":
            return self._table()
        if word:
            return Value(_WORDS[word])
        if kind == "d":
            return Value(_number(rest))
        text = bytes_of(rest).decode("utf-8", "surrogateescape")
        return Value(shown(text) + (f"… ({int(whole):,} bytes)" if whole else "") if kind == "s" else text)

    def _table(self) -> Value:
        fields: dict[str, Value] = {}
        while (sign := self._text[self._at : self._at + 1]) not in {"}", "+"}:
            string = sign == "s"
            key = self.value().text
            plain = string and _IDENTIFIER.fullmatch(key[1:-1]) and key[1:-1] not in _LITERALS
            fields[key[1:-1] if plain else key] = self.value()
        self._at += 1
        fields = dict(sorted(fields.items(), key=_order))
        if sign == "+":
            fields["…"] = Value("more fields are left out")
            self._at += 1
        return Value(summary(fields), fields)


def parse(text: str) -> list[Value]:
    """Values from what values.lua wrote. Raises ServerError: it is something else."""
    reader, found = _Reader(text), []
    try:
        while reader.more:
            found.append(reader.value())
    except ValueError as error:
        raise ServerError(f"the debugger's answer can't be read: {error}") from error
    return found


def result_of(code: str, found: str) -> Value:
    """What an expression or a statement led to."""
    if code.startswith("local "):
        return Value("nil: what it defines is gone with it")
    values = parse(found)
    return values[0] if len(values) == 1 else Value(SEPARATOR.join(one.text for one in values))


def problem_of(code: str, raised: str) -> str:
    """What was raised, from its text behind `!`, or its value behind `#`; the line only if there are several."""
    if raised.startswith("#"):
        return parse(raised[1:])[0].text
    text = bytes_of(raised[1:]).decode("utf-8", "surrogateescape")
    return text if "\n" in code else _EXPRESSION.sub("", text)


def readable(text: str) -> str:
    """Text as it is shown without quotes: lines, but no control characters, and bytes that are no UTF-8 as `\\xff`."""
    return _UNREADABLE.sub(_escaped, text)


def bytes_of(text: str) -> bytes:
    """A string from its form there."""
    return unquote_to_bytes(text)


def _order(field: tuple[str, Value]) -> tuple[bool, float, str]:
    """Numbers first."""
    name, _ = field
    return not name.isdigit(), float(name) if name.isdigit() else 0, name


def _number(text: str) -> str:
    """As few digits as name it: 0.1, 9007199254740992."""
    return text if text.lstrip("-")[:1].isalpha() else repr(float(text)).removesuffix(".0")


def shown(text: str) -> str:
    """A string in quotes; bytes that are no UTF-8, which come as surrogates, as `\\xff`."""
    return f'"{_HIDDEN.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    code = ord(char)
    return _ESCAPES.get(char) or (f"\\u{{{code:x}}}" if 0xFF < code < 0xDC80 else f"\\x{code & 0xFF:02x}")


def place_in(name: str) -> str:
    """What stands behind a table for one of its fields, by its name: `["a b"]`, `[1]`; "" if that can't be written."""
    if _NUMBER.fullmatch(name) or name in {"true", "false"}:
        return f"[{name}]"
    if _IDENTIFIER.fullmatch(name) and name not in _LITERALS:
        return f"[{quoted(name)}]"
    if not _QUOTED.fullmatch(name):
        return ""
    return f"[{quoted(_ESCAPE.sub(_meant, name[1:-1]))}]"


def _meant(found: re.Match[str]) -> str:
    if found[1]:
        return bytes([int(found[1], 16)]).decode("utf-8", "surrogateescape")
    return chr(int(found[2], 16)) if found[2] else {"n": "\n", "r": "\r", "t": "\t"}.get(found[3], found[3])


def summary(fields: dict[str, Value]) -> str:
    """A table in a few characters."""
    first = [*fields.items()][:SUMMARY_FIELDS]
    listed = next((place for place, (name, _) in enumerate(first) if name != str(place + 1)), len(first))
    parts = [one.text for _, one in first[:listed]]
    parts += (f"[{name}]={one.text}" if name.isdigit() else f"{name}={one.text}" for name, one in first[listed:])
    text = ", ".join(parts)
    cut = len(text) > SUMMARY_CHARS or len(fields) > SUMMARY_FIELDS
    return f"{{{text[:SUMMARY_CHARS]}{'…' if cut else ''}}}"


def quoted(text: str) -> str:
    """A string of Lua, whatever its bytes."""
    return '"' + "".join(f"\\{one:03d}" for one in text.encode("utf-8", "surrogateescape")) + '"'


def lists(expression: str) -> bool:
    """Whether it is several expressions with commas between them, as far as one can tell without a parser."""
    plain, depth = _TEXTS.sub('""', expression), 0
    for char in plain:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            return "function" not in names_in(plain)
    return False


def names_in(expression: str) -> list[str]:
    """The names that an expression may take from locals, as far as one can tell without a parser."""
    return list(dict.fromkeys(_NAME.findall(_TEXTS.sub('""', expression))))
