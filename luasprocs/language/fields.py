"""The fields of a header, and where they stand: lines `key=value` or `@key value` of the leading comments. Pure.

A key stands at its line's beginning, without blanks around `=`, or after `@`. What only looks like one is prose.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.metadata import KEYS
from luasprocs.errors import SettingsError
from luasprocs.language import shebang
from luasprocs.language.metadata import is_key, parse_value

if TYPE_CHECKING:
    from collections.abc import Iterator

BLANKS = " \t\v\f"
_TYPO, _NEAR = 0.8, 0.7
_BEGINNING_CHARS = 4
_ELSEWHERE = {"tz": "timezone", "schedule": "cron", "interval": "every", "async": "runasync", "pattern": "key"}
"""What other programs call our keys."""
# A comment that is never closed is Lua's error to report; here it goes to the end.
_COMMENT = re.compile(r"[ \t\v\f\r\n]*--(?:\[(=*)\[(.*?)(?:\]\1\]|\Z)|-*([^\r\n]*))", re.DOTALL)
_PLAIN = r"[ \t\v\f]*+([A-Za-z_][A-Za-z0-9_]*+)=(?=[^= \t\v\f]|[ \t\v\f]*+(?:[\r\n]|\Z))([^\r\n]*)"
_MARKED = r"[ \t\v\f]*+@([A-Za-z_][A-Za-z0-9_]*+)(?![=\w.:(])[ \t\v\f]*+([^\r\n]*)"
_LOOSE = r"[ \t\v\f]*+([A-Za-z_][A-Za-z0-9_]*+)[ \t\v\f]*+=(?!=)[ \t\v\f]*+([^\r\n]*)"
_COLON = re.compile(r"[ \t\v\f]*+@?([A-Za-z_]++)[ \t\v\f]*+:[ \t\v\f]*+([^\r\n]*)")
_ANY_TEXT = {"text", "list", "keys", "place"}
_FORMS = tuple(re.compile(form) for form in (_PLAIN, _MARKED))
_ANY = re.compile(_LOOSE)
_SAID_BY_FLAGS = {flag: said for flag, said in shebang.FLAGS.items() if said}
_FLAG = re.compile(rf"[ \t\v\f]*+@?({'|'.join(_SAID_BY_FLAGS)})[ \t\v\f]*+(?:=[^\r\n]*|(?=[\r\n]|\Z))")
# The same in one go, where the header is line comments that end with "\n", as nearly every one is.
_LINE_COMMENTS = re.compile(r"(?:[ \t\v\f\n]*+--(?!\[=*\[)[^\r\n]*+)*+[ \t\v\f\n]*+")
_LINE_FIELD = re.compile(rf"^[ \t\v\f]*+--++(?:{_PLAIN}|{_MARKED})", re.MULTILINE)
_LINE = re.compile(r"[^\r\n]+")


class Found(NamedTuple):
    """A field's place in the text: of key and value, and of the content of the comment that has them. `marked`: with `@`."""

    key: str
    value: str
    key_at: int
    value_at: int
    content_at: int
    content_end: int
    block: bool
    marked: bool

    @property
    def start(self) -> int:
        """Where it begins: with the key, or the `@` before it."""
        return self.key_at - self.marked


class Lookalike(NamedTuple):
    """A line of prose that may have been meant as a field: of which key, and what to write then."""

    key: str
    key_at: int
    meant: str
    right: str


def scan(text: str) -> Iterator[Found]:
    """The fields of the leading comments."""
    for start, end, content, block in _lines(text):
        for marked, form in enumerate(_FORMS):
            if (field := form.match(text, start, end)) and _counts(field[1]):
                places = field.start(1), field.start(2), *content
                yield Found(field[1], field[2].rstrip(BLANKS), *places, block, bool(marked))


def pairs(text: str) -> list[tuple[str, str]]:
    """Keys and values of the fields that `scan` finds, several times faster for line comments."""
    end = _LINE_COMMENTS.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    if text.startswith(("--", "\r", "#!"), end):
        return [(place.key, place.value) for place in scan(text)]
    found = (
        (plain or marked, (one if plain else two)) for plain, one, marked, two in _LINE_FIELD.findall(text, 0, end)
    )
    return [(key, value.rstrip(BLANKS)) for key, value in found if _counts(key)]


def lookalikes(text: str) -> Iterator[Lookalike]:
    """Lines that have `=` behind a word that is a key, nearly one, or how one begins, and are no fields; flags of the server.

    And `timeout: 30s`: a key, a colon, and what may be its value.
    """
    for start, end, _, _ in _lines(text):
        if flag := _FLAG.match(text, start, end):
            key, value = _SAID_BY_FLAGS[flag[1]]
            yield Lookalike(flag[1], flag.start(1), key, written(key, value))
            continue
        colon = _COLON.match(text, start, end)
        if colon and _fits(key := colon[1].lower(), value := colon[2].rstrip(BLANKS)):
            yield Lookalike(colon[1], colon.start(1), key, written(key, value))
            continue
        field = _ANY.match(text, start, end)
        taken = _FORMS[0].match(text, start, end) and field and _counts(field[1])
        if field and not taken and (key := _meant(field[1])):
            yield Lookalike(field[1], field.start(1), key, written(key, field[2].rstrip(BLANKS)))


def header_end(text: str) -> int:
    """Where the leading comments end."""
    first = shebang.LINE.match(text)
    at = first.end() if first else 0
    while comment := _COMMENT.match(text, at):
        at = comment.end()
    return at


def comment_at(text: str, at: int) -> tuple[int, int] | None:
    """Where the content of the leading comment around a place begins and ends; None if it is in none."""
    first = shebang.LINE.match(text)
    begun = first.end() if first else 0
    while (comment := _COMMENT.match(text, begun)) and begun <= at:
        begun = comment.end()
        start, end = comment.span(3 if comment.start(3) >= 0 else 2)
        if start <= at <= end:
            return start, end
    return None


def written(key: str, value: str, *, marked: bool = False) -> str:
    """A field as it stands in a line: a value that begins with `=` needs the `@`."""
    return f"@{key} {value}".rstrip() if marked or value.startswith("=") else f"{key}={value}"


def _lines(text: str) -> Iterator[tuple[int, int, tuple[int, int], bool]]:
    """Of each line of the leading comments start and end, those of its comment's content, and whether it is a block."""
    first = shebang.LINE.match(text)
    at = first.end() if first else 0
    while comment := _COMMENT.match(text, at):
        at = comment.end()
        block = comment.start(3) < 0
        content = comment.span(2 if block else 3)
        spans = (line.span() for line in _LINE.finditer(text, *content)) if block else (content,)
        for start, end in spans:
            yield start, end, content, block


def _counts(key: str) -> bool:
    """Whether a word makes its line a field: a key, or a key that is misspelt."""
    return is_key(key) or bool(_near(key, _TYPO))


def _fits(key: str, value: str) -> bool:
    """Whether a value is one of a key that doesn't take any text."""
    if key not in KEYS or KEYS[key].kind in _ANY_TEXT:
        return False
    with suppress(SettingsError):
        parse_value(key, value)
        return True
    return False


def _meant(word: str) -> str:
    """The key that a word of prose may stand for, or ""."""
    return _ELSEWHERE.get(word.lower()) or _near(word, _NEAR) or _begun(word)


def _begun(word: str) -> str:
    """The one key that begins with a word of some length; "" if there is none, or more than one."""
    found = [key for key in KEYS if key.startswith(word.lower())] if len(word) >= _BEGINNING_CHARS else []
    return found[0] if len(found) == 1 else ""


@lru_cache(maxsize=1024)
def _near(word: str, cutoff: float) -> str:
    """The key that a word is, or nearly is; "" if there is none."""
    import difflib  # noqa: PLC0415  2 ms of every start, needed only where prose has a `=`

    if is_key(word):
        return word
    return next(iter(difflib.get_close_matches(word[:100].lower(), KEYS, n=1, cutoff=cutoff)), "")
