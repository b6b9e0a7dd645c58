"""The header of a sproc: what its fields say and what is wrong with them, read and written back byte for byte. Pure.

It ends at the first line of code. Lines count as Lua counts them: they agree with the server's errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import ProblemsError, SettingsError
from luasprocs.language import shebang
from luasprocs.language.decoding import BOM, decoded
from luasprocs.language.fields import BLANKS, Found, lookalikes, pairs, scan, written
from luasprocs.language.metadata import is_key, parse_value
from luasprocs.language.places import Lines, Range
from luasprocs.language.problems import problem
from luasprocs.language.rules import contradictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.errors import Problem

_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(r"[^\r\n]+")


class HeaderField(NamedTuple):
    """One `key=value` line: the value as written, without blanks around; where each of them stands."""

    key: str
    value: str
    key_range: Range
    value_range: Range


def fields_of(text: str, lines: Lines) -> tuple[HeaderField, ...]:
    """The fields of a header, in the file's order, whatever is wrong with them; the flags of its first line are some of them."""
    flags = (
        HeaderField(*said, lines.range(flag.start, flag.end), lines.range(flag.start, flag.end))
        for flag in shebang.flags(text)
        if (said := shebang.FLAGS.get(flag.name))
    )
    found = (
        HeaderField(
            place.key,
            place.value,
            lines.range(place.key_at, place.key_at + len(place.key)),
            lines.range(place.value_at, place.value_at + len(place.value)),
        )
        for place in scan(text)
    )
    return (*flags, *found)


def problems_of(fields: Iterable[HeaderField], path: str) -> Iterator[Problem]:
    """What is wrong with a header's fields."""
    first: dict[str, HeaderField] = {}
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


def line_problems(text: str, path: str, lines: Lines) -> Iterator[Problem]:
    """What is wrong with a first line `#!lua`, and what only looks like a field."""
    yield from shebang.problems(text, path, lines)
    for one in lookalikes(text):
        what = f"this is prose, not the key {one.meant}: write `-- {one.right}` if it is meant"
        yield problem(path, "header.lookalike", what, lines.range(one.key_at, one.key_at + len(one.key)))


def warnings_in(source: bytes, path: str) -> Iterator[Problem]:
    """What only looks like a field, in a header without problems."""
    text = source.decode()
    if any(True for _ in lookalikes(text)):
        yield from line_problems(text, path, Lines(text))


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
    lines = Lines(text)
    fields = fields_of(text, lines)
    problems += problems_of(fields, path)
    problems += (one for one in shebang.problems(text, path, lines))
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
        found = pairs(text)
        values = dict(found)
        for key, value in values.items():
            parse_value(key, value)
    except (UnicodeDecodeError, SettingsError):
        return parse(source, path)
    if len(values) < len(found) or "\0" in text or text.startswith((BOM, "#!")) or any(contradictions(values)):
        return parse(source, path)
    return values


def write(source: bytes, changes: Mapping[str, str | None], path: str = "") -> bytes:
    """The file with keys set or removed (None); all else keeps its bytes, line ends and blanks too.

    A new key goes below the last one, written as that one is, or on a line of its own at the top.

    Raises:
        ProblemsError: the header would not be valid, or can't be written (a line end in a value).
    """
    text, problems = decoded(source, path)
    wanted = {key: value.strip(BLANKS) for key, value in changes.items() if value is not None}
    problems += _refused(text, changes, path)
    if problems:
        raise ProblemsError(problems)
    for key in changes:
        text = shebang.without(text, key)
    expected = {one.key: one.value for one in fields_of(text, Lines(text)) if one.key not in changes} | wanted
    for key, value in wanted.items():
        text = _with(text, key, value)
    for key in changes.keys() - wanted.keys():
        text = _without(text, key)
    written = text.encode()
    found = parse(written, path)
    if found != expected:
        wrong = ", ".join(key for key in changes if expected.get(key) != found.get(key))
        what = f"{wrong}: the new value would end its block comment"
        raise ProblemsError([problem(path, "header.unwritable", what)])
    return written


def _refused(text: str, changes: Mapping[str, str | None], path: str) -> Iterator[Problem]:
    """What is wrong with new values, at the lines that they would change; and keys to remove that there can't be."""
    lines = {field.key: field.key_range.line for field in fields_of(text, Lines(text))}
    for key, value in changes.items():
        if value is None and (key in lines or is_key(key)):
            continue
        if wrong := value_problem(key, (value or "").strip(BLANKS)):
            code = "header.bad-value" if is_key(key) else "header.unknown-key"
            line = lines.get(key, 1)
            yield problem(path, code, wrong, Range(line, 1, line, 1))


def _with(text: str, key: str, value: str) -> str:
    """The text with a key set: in its place, below the last field, or at the top."""
    found = list(scan(text))
    for place in found:
        if place.key == key:
            return _rewritten(text, place, value)
    if not found:
        first = shebang.LINE.match(text)
        at = first.end() if first else 0
        end = _line_end(text, at)
        new = f"-- {written(key, value)}"
        return text[:at] + (end + new if first else new + end) + text[at:]
    last = found[-1]
    line_at, line_end = _line_of(text, last)
    new = _line_end(text, line_end) + text[line_at : last.start] + written(key, value, marked=last.marked)
    # Where a block closes on that line, the new one goes before what closes it.
    at = last.value_at + len(last.value) if last.block and line_end == last.content_end else line_end
    return text[:at] + new + text[at:]


def _rewritten(text: str, place: Found, value: str) -> str:
    """The text with another value for a field: with the blanks around the old one, if they may stay."""
    end, kept = place.value_at + len(place.value), place.key_at + len(place.key) < place.value_at
    if value == place.value or (kept and not (value.startswith("=") and not place.marked)):
        return text[: place.value_at] + value + text[end:]
    return text[: place.start] + written(place.key, value, marked=place.marked) + text[end:]


def _without(text: str, key: str) -> str:
    """The text without a key, and without its line where nothing else stands on it."""
    while place := next((place for place in scan(text) if place.key == key), None):
        start, end = _line_of(text, place)
        if _whole(text, place):
            after = _LINE_END.match(text, end)
            end = after.end() if after else end
        else:
            start, end = place.start, place.value_at + len(place.value)
        text = text[:start] + text[end:]
    return text


def _line_of(text: str, place: Found) -> tuple[int, int]:
    """Where a field's line starts and ends: in a block without what opens and closes it."""
    end = _LINE.match(text, place.value_at, place.content_end)
    line_end = end.end() if end else place.value_at
    before = max(text.rfind("\n", 0, place.key_at), text.rfind("\r", 0, place.key_at)) + 1
    if place.block:
        return max(before, place.content_at), line_end
    dashes = text.rindex("--", before, place.key_at)
    while dashes > before and text[dashes - 1] == "-":
        dashes -= 1
    return (before if not text[before:dashes].strip(BLANKS) else dashes), line_end


def _whole(text: str, place: Found) -> bool:
    """Whether nothing but the field stands on its line."""
    start, end = _line_of(text, place)
    if not place.block:
        return start == 0 or text[start - 1] in "\r\n"
    return start > place.content_at and end < place.content_end


def _line_end(text: str, at: int) -> str:
    """The line end at or after a position, else the text's first, else a line feed."""
    found = _LINE_END.search(text, at) or _LINE_END.search(text)
    return found.group() if found else "\n"
