"""The header of a sproc: `key=value` lines in leading comments, read and written back byte for byte. Pure.

It ends at the first line of code. Lines count as Lua counts them: they agree with the server's errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import Problem, ProblemsError, SettingsError
from luasprocs.language.metadata import is_key, parse_value
from luasprocs.language.rules import contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BLANKS = " \t\v\f"
# A comment that is never closed is Lua's error to report; here it goes to the end.
_COMMENT = re.compile(r"[ \t\v\f\r\n]*--(?:\[(=*)\[(.*?)(?:\]\1\]|\Z)|-*([^\r\n]*))", re.DOTALL)
_FIELD = re.compile(r"[ \t\v\f]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t\v\f]*+=(?!=)[ \t\v\f]*+([^\r\n]*)")
# The same in one go, where the header is line comments that end with "\n", as nearly every one is.
_LINE_COMMENTS = re.compile(r"(?:[ \t\v\f\n]*+--(?!\[=*\[)[^\r\n]*+)*+[ \t\v\f\n]*+")
_LINE_FIELD = re.compile(r"^[ \t\v\f]*+--++" + _FIELD.pattern, re.MULTILINE)
_LUA_LINE_END = re.compile(r"\r\n?|\n\r?")
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"[^\r\n]+")
_BOM = "\ufeff"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Field:
    """One `key=value` line: the value as written, without blanks around; the key's place, both from 1."""

    key: str
    value: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header without problems, its fields in the file's order."""

    fields: tuple[Field, ...] = ()

    @property
    def values(self) -> dict[str, str]:
        """Each key's value as written."""
        return {field.key: field.value for field in self.fields}


class _Found(NamedTuple):
    """A field's place in the text: of key and value, and of the content of the comment that has them."""

    key: str
    value: str
    key_at: int
    value_at: int
    content_at: int
    content_end: int
    block: bool


def parse(source: bytes, path: str) -> Header:
    """The header of a file's bytes; `path` is for messages.

    Raises:
        ProblemsError: all that is wrong with it, each with line and column.
    """
    text, problems = _decoded(source, path)
    found = list(_scan(text))
    fields = tuple(_placed(text, found))
    values: dict[str, str] = {}
    for place, field in zip(found, fields, strict=True):
        if field.key in values:
            first = next(other.line for other in fields if other.key == field.key)
            message = f"{field.key} stands on line {first} already: keep one of them"
            problems.append(Problem(path, field.line, field.column, message))
            continue
        values[field.key] = field.value
        try:
            parse_value(field.key, field.value)
        except SettingsError as error:
            into = place.value_at - place.key_at if is_key(field.key) else 0
            problems.append(Problem(path, field.line, field.column + into, str(error)))
    problems += _contradictions(path, fields, values)
    if problems:
        raise ProblemsError(problems)
    return Header(fields)


def values_of(source: bytes, path: str) -> dict[str, str]:
    """What `parse` finds, as key to value; faster, since it looks for places only where something is wrong.

    Raises:
        ProblemsError: as `parse`.
    """
    try:
        text = source.decode()
        found = _pairs(text)
        values = dict(found)
        for key, value in values.items():
            parse_value(key, value)
    except (UnicodeDecodeError, SettingsError):
        return parse(source, path).values
    if len(values) < len(found) or "\0" in text or text.startswith(_BOM) or any(contradictions(values)):
        return parse(source, path).values
    return values


def write(source: bytes, changes: Mapping[str, str | None], path: str = "") -> bytes:
    """The file with keys set or removed (None); all else keeps its bytes, line ends and blanks too.

    A new key goes below the last one, written as that one is, or on a line of its own at the top.

    Raises:
        ProblemsError: the header would not be valid, or can't be written (a line end in a value).
    """
    text, problems = _decoded(source, path)
    wanted = {key: value.strip(_BLANKS) for key, value in changes.items() if value is not None}
    problems += _refused(text, wanted, path)
    if problems:
        raise ProblemsError(problems)
    expected = {place.key: place.value for place in _scan(text) if place.key not in changes} | wanted
    for key, value in wanted.items():
        text = _with(text, key, value)
    for key in changes.keys() - wanted.keys():
        text = _without(text, key)
    written = text.encode()
    header = parse(written, path)
    if header.values != expected:
        wrong = ", ".join(key for key in changes if expected.get(key) != header.values.get(key))
        raise ProblemsError(
            [Problem(path, 1, 1, f"{wrong}: the new value would end the block comment that it stands in")]
        )
    return written


def _refused(text: str, wanted: Mapping[str, str], path: str) -> Iterator[Problem]:
    """What is wrong with new values, at the lines that they would change."""
    lines = {field.key: field.line for field in _placed(text, list(_scan(text)))}
    for key, value in wanted.items():
        try:
            parse_value(key, value)
        except SettingsError as error:
            yield Problem(path, lines.get(key, 1), 1, str(error))


def encoding_problems(source: bytes, path: str) -> list[Problem]:
    """What is wrong with a file's bytes as text: not UTF-8, UTF-16, a BOM, a NUL."""
    return _decoded(source, path)[1]


def _decoded(source: bytes, path: str) -> tuple[str, list[Problem]]:
    """The text, without its BOM, and what is wrong with the encoding."""
    if source.startswith(_UTF16_BOMS):
        return "", [Problem(path, 1, 1, "the file is UTF-16: save it as UTF-8")]
    problems = []
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        text = source.decode("utf-8", "surrogateescape")
        before = source[: error.start].decode().removeprefix(_BOM)
        what = f"byte 0x{source[error.start]:02x} is not UTF-8: save the file as UTF-8"
        problems.append(Problem(path, *_place(before, len(before)), what))
    if text.startswith(_BOM):
        text = text.removeprefix(_BOM)
        problems.append(Problem(path, 1, 1, "the file starts with a BOM: save it as UTF-8 without one"))
    if "\0" in text:
        what = "the file holds a NUL byte: it is UTF-16 or no text at all; save it as UTF-8"
        problems.append(Problem(path, *_place(text, text.index("\0")), what))
    return text, problems


def _scan(text: str) -> Iterator[_Found]:
    """The fields of the leading comments."""
    at = 0
    while comment := _COMMENT.match(text, at):
        at = comment.end()
        block = comment.start(3) < 0
        start, end = comment.span(2 if block else 3)
        for line_at, line_end in (
            (line.span() for line in _LINE.finditer(text, start, end)) if block else ((start, end),)
        ):
            if field := _FIELD.match(text, line_at, line_end):
                key, value = field.groups()
                yield _Found(key, value.rstrip(_BLANKS), field.start(1), field.start(2), start, end, block)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Keys and values of the fields that `_scan` finds, several times faster for line comments."""
    end = _LINE_COMMENTS.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    if text.startswith(("--", "\r"), end):
        return [(place.key, place.value) for place in _scan(text)]
    return [(key, value.rstrip(_BLANKS)) for key, value in _LINE_FIELD.findall(text, 0, end)]


def _placed(text: str, found: list[_Found]) -> Iterator[Field]:
    line, line_at = 1, 0
    for place in found:
        ends, line_at = _lines_to(text, line_at, place.key_at)
        line += ends
        yield Field(place.key, place.value, line, place.key_at - line_at + 1)


def _place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a position, both from 1."""
    ends, line_at = _lines_to(text, 0, at)
    return ends + 1, at - line_at + 1


def _lines_to(text: str, line_at: int, at: int) -> tuple[int, int]:
    """How many lines end from the start of one to a position, and where the position's own line starts."""
    if text.find("\r", line_at, at) < 0:  # nearly every file, and several times faster
        return text.count("\n", line_at, at), max(text.rfind("\n", line_at, at) + 1, line_at)
    ends = [end.end() for end in _LUA_LINE_END.finditer(text, line_at, at)]
    return len(ends), ends[-1] if ends else line_at


def _contradictions(path: str, fields: tuple[Field, ...], values: dict[str, str]) -> Iterator[Problem]:
    for key, message in contradictions(values):
        field = next(field for field in fields if field.key == key)
        yield Problem(path, field.line, field.column, message)


def _with(text: str, key: str, value: str) -> str:
    """The text with a key set: in its place, below the last field, or at the top."""
    found = list(_scan(text))
    blank = " " if value.startswith("=") else ""  # `key==` would be prose
    for place in found:
        if place.key == key:
            before = text[: place.value_at]
            return before + blank * before.endswith("=") + value + text[place.value_at + len(place.value) :]
    if not found:
        return f"-- {key}={blank}{value}{_line_end(text, 0)}{text}"
    last = found[-1]
    line_at, line_end = _line_of(text, last)
    around = text[last.key_at + len(last.key) : last.value_at] if last.value else "="
    around += blank * around.endswith("=")
    new = _line_end(text, line_end) + text[line_at : last.key_at] + key + around + value
    # Where a block closes on that line, the new one goes before what closes it.
    at = last.value_at + len(last.value) if last.block and line_end == last.content_end else line_end
    return text[:at] + new + text[at:]


def _without(text: str, key: str) -> str:
    """The text without a key, and without its line where nothing else stands on it."""
    while place := next((place for place in _scan(text) if place.key == key), None):
        start, end = _line_of(text, place)
        if _whole(text, place):
            after = _LINE_END.match(text, end)
            end = after.end() if after else end
        else:
            start, end = place.key_at, place.value_at + len(place.value)
        text = text[:start] + text[end:]
    return text


def _line_of(text: str, place: _Found) -> tuple[int, int]:
    """Where a field's line starts and ends: in a block without what opens and closes it."""
    end = _LINE.match(text, place.value_at, place.content_end)
    line_end = end.end() if end else place.value_at
    before = max(text.rfind("\n", 0, place.key_at), text.rfind("\r", 0, place.key_at)) + 1
    if place.block:
        return max(before, place.content_at), line_end
    dashes = text.rindex("--", before, place.key_at)
    while dashes > before and text[dashes - 1] == "-":
        dashes -= 1
    return (before if not text[before:dashes].strip(_BLANKS) else dashes), line_end


def _whole(text: str, place: _Found) -> bool:
    """Whether nothing but the field stands on its line."""
    start, end = _line_of(text, place)
    if not place.block:
        return start == 0 or text[start - 1] in "\r\n"
    return start > place.content_at and end < place.content_end


def _line_end(text: str, at: int) -> str:
    """The line end at or after a position, else the text's first, else a line feed."""
    found = _LINE_END.search(text, at) or _LINE_END.search(text)
    return found.group() if found else "\n"
