"""Sprocs as one script, since the server's debugger knows one: each has lines of its own there. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.compiler import uses
from sync.debugger.backend.compiled import CompiledSource
from sync.debugger.backend.sited import SitedSource

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from luasprocs.language.sproc import Sproc

ERROR_LINE = 3
"""Where the script stands when something was raised, see boot.lua."""
FIRST_LINE = ERROR_LINE + 3
"""Behind the function that stands there."""
CHUNK = "user_script"
"""The name that the debugger looks for: a chunk of another one it passes over."""
_NAMED = re.compile(rf"(?:@?{CHUNK}: ?|\bline )(\d+)")


def reached(own: Sproc, sprocs: Iterable[Sproc]) -> list[Sproc]:
    """A sproc, and those that its source or theirs names: libraries and called sprocs."""
    by_name = {one.name: one for one in sprocs}
    found, todo = {own.name: own}, [own]
    while todo:
        names = {use.name for use in uses(todo.pop().source) if use.what in {"require", "call", "enqueue"}}
        new = [by_name[name] for name in sorted(names - found.keys()) if name in by_name]
        found |= {one.name: one for one in new}
        todo += new
    return list(found.values())


class SprocLine(NamedTuple):
    """A line of a sproc."""

    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.name}:{self.line}"


class Program:
    """The sprocs of a session, and the lines that each has in the script. `exact`: those whose locals can be read as they are."""

    def __init__(self, sprocs: Sequence[Sproc], exact: Collection[str] = ()) -> None:
        self.sprocs = {one.name: one for one in sprocs}
        self.firsts: dict[str, int] = {}
        self.sited: dict[str, SitedSource] = {}
        self._codes: dict[str, CompiledSource] = {}
        line, site = FIRST_LINE, 1
        for one in sprocs:
            self.firsts[one.name] = line
            sited = self.sited[one.name] = SitedSource(one.source, site, every=one.name in exact)
            line += len(sited.lines) + 3  # what the engine and boot.lua put behind a source, and a line between two
            site += len(sited.sites)
        self.lines = line
        self._starts = [*self.firsts.values()]
        self._names = [*self.firsts]

    def code(self, name: str) -> CompiledSource:
        """A sproc as compiled."""
        if name not in self._codes:
            self._codes[name] = CompiledSource(self.sprocs[name].source)
        return self._codes[name]

    def place(self, line: int) -> SprocLine | None:
        """What a line of the script is; None for one that is of no sproc, or has no code there."""
        found = self._found(line)
        return found if found and found.line in self.code(found.name).lines else None

    def _found(self, line: int) -> SprocLine | None:
        at = bisect_right(self._starts, line) - 1
        if at < 0:
            return None
        lines, number = self.sited[self._names[at]].lines, line - self._starts[at]
        return SprocLine(self._names[at], lines[number]) if number < len(lines) else None

    def line(self, place: SprocLine) -> int:
        """The line of the script that stands for a place."""
        return self.firsts[place.name] + self.sited[place.name].line(place.line) - 1

    def sites(self, line: int) -> list[list[int]]:
        """What can be read at a line of the script, see SitedSource.visible."""
        at = bisect_right(self._starts, line) - 1
        return self.sited[self._names[at]].visible(line - self._starts[at] + 1) if at >= 0 else []

    def function_at(self, place: SprocLine) -> tuple[str, int]:
        """The function that a line is of."""
        return place.name, self.code(place.name).function_at(place.line)

    def named(self, text: str) -> str:
        """A message of the server, with the files' lines in place of the script's."""

        def place(found: re.Match[str]) -> str:
            return str(self._found(int(found[1])) or found[0])

        return _NAMED.sub(place, text)
