"""TOML files with errors that say where, and values as the text that a header or a flag would have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from luasprocs.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES = 256 * 1024
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_AT_END = " (at end of document)"
_TOML_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


def read_bytes(path: Path) -> bytes:
    """A settings file's bytes, no more than it takes to see that they are too many."""
    try:
        with path.open("rb") as file:
            return file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{str(path)!r} can't be read: {error.strerror}") from error


def scalar(value: object) -> str:
    """A value as a header or a command line would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int):
        raise SettingsError("the value must be a text, a whole number, true or false")
    return str(value)


def parsed(source: bytes, path: str) -> tuple[str, dict[str, Any]]:
    """A TOML file's text and table."""
    import tomllib  # noqa: PLC0415  # 2 ms, if there is such a file at all

    if len(source) > LIMIT_BYTES:
        raise SettingsError(f"{path} has more than {LIMIT_BYTES:,} bytes: it can't be a settings file")
    try:
        text = source.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}:{line}:1: the file is not UTF-8: save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits is one, too
        found = _TOML_PLACE.fullmatch(str(error))
        end = f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
        place = f"{found[2]}:{found[3]}" if found else end if _AT_END in str(error) else "1:1"
        why = found[1] if found else str(error).removesuffix(_AT_END)
        raise SettingsError(f"{path}:{place}: invalid TOML: {plain(why)}") from None


def place_of(text: str, key: str, table: str = "") -> str:
    """`line:column` of a key, as far as looking for it tells: tomllib keeps no places."""
    start = re.search(rf"^[ \t]*\[?{table}\b", text, re.MULTILINE) if table else None
    begin = start.start() if start else 0
    word = re.escape(key)
    found = re.compile(rf"""(?:^|[{{,])[ \t]*\[?["']?({word})["']?[ \t]*[.=\]]""", re.MULTILINE).search(text, begin)
    at = found.start(1) if found else begin
    return f"{text.count(chr(10), 0, at) + 1}:{at - (text.rfind(chr(10), 0, at) + 1) + 1}"


def plain(text: str) -> str:
    """Text without control characters."""
    return CONTROL.sub("?", text)
