"""A sproc's bytes as text, and what is wrong with their encoding. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luasprocs.language.places import START, Lines
from luasprocs.language.problems import problem

if TYPE_CHECKING:
    from luasprocs.errors import Problem

BOM = "\ufeff"
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def without_halves(text: str) -> str:
    """With a byte that is no UTF-8 in place of each half of a character: JSON can write such, and no bytes become one."""
    return _HALVES.sub("\udcff", text)


def decoded(source: bytes, path: str) -> tuple[str, list[Problem]]:
    """The text, without its BOM, bytes that are no UTF-8 as surrogates; and what is wrong. The text of UTF-16 is ""."""
    if source.startswith(_UTF16_BOMS):
        return "", [problem(path, "encoding.utf-16", "the file is UTF-16: save it as UTF-8")]
    text, problems, bad = "", [], None
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        text = source.decode("utf-8", "surrogateescape")
        bad = len(source[: error.start].decode().removeprefix(BOM)), source[error.start]
    if text.startswith(BOM):
        text = text.removeprefix(BOM)
        what = "the file starts with a BOM: save it as UTF-8 without one"
        problems.append(problem(path, "encoding.bom", what, START))
    lines = Lines(text) if bad or "\0" in text else None
    if lines and bad:
        at, byte = bad
        what = f"byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
        problems.append(problem(path, "encoding.not-utf-8", what, lines.range(at, at + 1)))
    if lines and "\0" in text:
        at = text.index("\0")
        what = "the file holds a NUL byte: it is UTF-16 or no text at all; save it as UTF-8"
        problems.append(problem(path, "encoding.nul", what, lines.range(at, at + 1)))
    return text, problems
