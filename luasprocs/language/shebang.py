"""A first line `#!lua flags=no-writes`, as EVAL and FUNCTION LOAD know it: its flags are keys of the header. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.problems import problem
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.errors import Problem
    from luasprocs.language.places import Lines

FLAGS = {
    "no-writes": ("readonly", "yes"),
    "allow-oom": ("oom", "allow"),
    "allow-stale": ("stale", "allow"),
    "allow-cross-slot-keys": ("crossslot", "allow"),
    "no-cluster": None,
}
"""Each flag and what it says as a key and its value; None for what means nothing to a sproc."""
LINE = re.compile(r"#![^\r\n]*")
_WORD = re.compile(r"[^ \t\v\f\r\n]+")
_LIBRARY = (
    "this is a Functions library: make each function a file of its own with `-- function=NAME`, and what they share a file "
    "with `-- library=yes`, for require"
)


class Flag(NamedTuple):
    """One flag, and where it stands."""

    name: str
    start: int
    end: int


def flags(text: str) -> list[Flag]:
    """The flags of a text's first line, in its order."""
    found = []
    for name, start in _options(text):
        if name.startswith("flags="):
            at = start + len("flags=")
            for flag in name.removeprefix("flags=").split(","):
                found.append(Flag(flag, at, at + len(flag)))
                at += len(flag) + 1
    return found


def without(text: str, key: str) -> str:
    """The text without the flags that say a key."""
    for flag in flags(text):
        if (FLAGS.get(flag.name) or ("",))[0] == key:
            kept = [one.name for one in flags(text) if one.name != flag.name]
            line = LINE.match(text)
            assert line  # noqa: S101
            words = [word for word, _ in _options(text) if not word.startswith("flags=")]
            new = " ".join(["#!lua", *words, *([f"flags={','.join(kept)}"] if kept else [])])
            return new + text[line.end() :]
    return text


def problems(text: str, path: str, lines: Lines) -> Iterator[Problem]:
    """What is wrong with a first line."""
    line = LINE.match(text)
    if not line:
        return
    engine = _WORD.match(text, 2)
    if not engine or engine.group() != "lua":
        what = "the first line names another language: a sproc's is `#!lua`, or none"
        yield problem(path, "header.first-line", what, lines.range(0, line.end()))
        return
    for word, start in _options(text):
        place = lines.range(start, start + len(word))
        if word.startswith("name="):
            yield problem(path, "header.functions-library", _LIBRARY, place)
        elif not word.startswith("flags="):
            what = f"unknown option {shown(word)} of the first line: there is flags=no-writes"
            yield problem(path, "header.first-line", what, place)
    for flag in flags(text):
        if flag.name and flag.name not in FLAGS:
            what = f"unknown flag {shown(flag.name)}{nearest(flag.name, FLAGS)}"
            yield problem(path, "header.first-line", what, lines.range(flag.start, flag.end))


def compilable(source: bytes) -> bytes:
    """A source as Lua takes it: its first line a comment of the same length."""
    return b"--" + source[2:] if source.startswith(b"#!") else source


def _options(text: str) -> Iterator[tuple[str, int]]:
    """The words behind the language, each with its place."""
    line = LINE.match(text)
    for number, word in enumerate(_WORD.finditer(text, 2, line.end()) if line else ()):
        if number:
            yield word.group(), word.start()
