"""The header of a sproc: `key=value` lines in leading comments, read and written back byte for byte. Pure.

It ends at the first line of code. Lines count as Lua counts them: they agree with the server's errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import ProblemsError, SettingsError
from luasprocs.language.decoding import BOM, decoded
from luasprocs.language.metadata import is_key, parse_value
from luasprocs.language.places import Lines, Range
from luasprocs.language.problems import problem
from luasprocs.language.rules import contradictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.errors import Problem

_BLANKS = " \t\v\f"
# A comment that is never closed is Lua's error to report; here it goes to the end.
_COMMENT = re.compile(r"[ \t\v\f\r\n]*--(?:\[(=*)\[(.*?)(?:\]\1\]|\Z)|-*([^\r\n]*))", re.DOTALL)
_FIELD = re.compile(r"[ \t\v\f]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t\v\f]*+=(?!=)[ \t\v\f]*+([^\r\n]*)")
# The same in one go, where the header is line comments that end with "\n", as nearly every one is.
_LINE_COMMENTS = re.compile(r"(?:[ \t\v\f\n]*+--(?!\[=*\[)[^\r\n]*+)*+[ \t\v\f\n]*+")
_LINE_FIELD = re.compile(r"^[ \t\v\f]*+--++" + _FIELD.pattern, re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"[^\r\n]+")


class Field(NamedTuple):
    """One `key=value` line: the value as written, without blanks around; where each of them stands."""

    key: str
    value: str
    key_range: Range
    value_range: Range


class _Found(NamedTuple):
    """A field's place in the text: of key and value, and of the content of the comment that has them."""

    key: str
    value: str
    key_at: int
    value_at: int
    content_at: int
    content_end: int
    block: bool


def fields_of(text: str, lines: Lines) -> tuple[Field, ...]:
    """The fields of a header, in the file's order, whatever is wrong with them."""
    return tuple(
        Field(
            place.key,
            place.value,
            lines.range(place.key_at, place.key_at + len(place.key)),
            lines.range(place.value_at, place.value_at + len(place.value)),
        )
        for place in _scan(text)
    )


def problems_of(fields: Iterable[Field], path: str) -> Iterator[Problem]:
    """What is wrong with a header's fields."""
    first: dict[str, Field] = {}
    for field in fields:
        if field.key in first:
            line = first[field.key].key_range.line
            what = f"{field.key} is already on line {line}: keep one of them"
            yield problem(path, "header.duplicate-key", what, field.key_range)
            continue
        first[field.key] = field
        if wrong := value_problem(field.key, field.value):
            if is_key(field.key):
                yield problem(path, "header.bad-value", wrong, field.value_range)
            else:
                yield problem(path, "header.unknown-key", wrong, field.key_range)
    for key, why in contradictions({key: field.value for key, field in first.items()}):
        yield problem(path, "header.contradiction", why, first[key].key_range)


def value_problem(key: str, value: str) -> str:
    """What is wrong with a key or its value, or ""."""
    try:
        parse_value(key, value)
    except SettingsError as error:
        return str(error)
    return ""


def parse(source: bytes, path: str) -> dict[str, str]:
    """Each key of a header, and its value as written, in the file's order; `path` is for messages.

    Raises:
        ProblemsError: all that is wrong with the encoding and the header.
    """
    text, problems = decoded(source, path)
    fields = fields_of(text, Lines(text))
    problems += problems_of(fields, path)
    if problems:
        raise ProblemsError(problems)
    return {field.key: field.value for field in fields}


def values_of(source: bytes, path: str) -> dict[str, str]:
    """What `parse` finds, faster: it looks for places only where something is wrong.

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
        return parse(source, path)
    if len(values) < len(found) or "\0" in text or text.startswith(BOM) or any(contradictions(values)):
        return parse(source, path)
    return values


def write(source: bytes, changes: Mapping[str, str | None], path: str = "") -> bytes:
    """The file with keys set or removed (None); all else keeps its bytes, line ends and blanks too.

    A new key goes below the last one, written as that one is, or on a line of its own at the top.

    Raises:
        ProblemsError: the header would not be valid, or can't be written (a line end in a value).
    """
    text, problems = decoded(source, path)
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
    found = parse(written, path)
    if found != expected:
        wrong = ", ".join(key for key in changes if expected.get(key) != found.get(key))
        what = f"{wrong}: the new value would end the block comment that it stands in"
        raise ProblemsError([problem(path, "header.unwritable", what)])
    return written


def _refused(text: str, wanted: Mapping[str, str], path: str) -> Iterator[Problem]:
    """What is wrong with new values, at the lines that they would change."""
    lines = {field.key: field.key_range.line for field in fields_of(text, Lines(text))}
    for key, value in wanted.items():
        if wrong := value_problem(key, value):
            code = "header.bad-value" if is_key(key) else "header.unknown-key"
            line = lines.get(key, 1)
            yield problem(path, code, wrong, Range(line, 1, line, 1))


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
