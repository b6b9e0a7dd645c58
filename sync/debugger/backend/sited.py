"""A source with its sites, see sites.py: which lines it has then, and what can be seen from each. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

from luasprocs.language.chunk import read_chunk
from luasprocs.language.compiler import dumped
from luasprocs.language.places import LINE_END
from luasprocs.language.shebang import compilable
from sync.debugger.backend.sites import GIVEN, GIVEN_SET, LEVELS, Site, SiteFinder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.language.chunk import Prototype

OWN = "luasprocs_"
FEW_LOCALS = 150
"""Of Lua's 200, at once in a function."""
MARK_BYTES = 2
"""Of `#!`: a source as short has no code."""
_HEAD = f"local {OWN}see "
_NUMBERED = re.compile(rb"luasprocs_(\d+)")
_SETS = f"{OWN}set".encode()


class SitedSource:
    """`head`: its first site, to be put before it; `text`: the source with all others, as boot.lua takes it; each "" for none.

    `lines`: the source's line of each line, 0 of none. What the engine puts before a source stands on a line of its own.
    `every`: whether there shall be more sites than the first.
    """

    def __init__(self, source: bytes, first: int, *, every: bool = True) -> None:
        source = compilable(source)
        plain = source.decode("latin-1")
        self.sites: dict[int, Site] = {}
        self.head = self.text = ""
        self._source = plain
        self.lines = [0, *range(1, len(LINE_END.findall(plain)) + 2)]
        given = Site(first, 0, GIVEN, 0, 0)
        if len(source) <= MARK_BYTES or OWN in plain or not _has_room(given, plain):
            return
        self.head, self.sites, self.lines = f"\n{_code(given)}\n ", {first: given}, [0, *self.lines]
        for level in LEVELS if every else ():
            try:
                sites = SiteFinder(plain, given, level).sites
            except (IndexError, RecursionError):  # nested deeper than anybody does
                break
            text, lines = _put(plain, sites[1:])
            if dumped(f"{_HEAD}{self.head}{text}".encode("latin-1")):
                self.sites = {one.number: one for one in sites}
                self.text, self.lines = text, [0, 0, *lines]
                break

    @cached_property
    def _firsts(self) -> dict[int, int]:
        return {line: number for number, line in reversed([*enumerate(self.lines, 1)])}

    def line(self, line: int) -> int:
        """The line that stands for one of the source."""
        return self._firsts.get(line, line)

    @cached_property
    def _functions(self) -> Sequence[Prototype]:
        chunk = dumped(f"{_HEAD}{self.head}{self.text or self._source}".encode("latin-1")) if self.head else b""
        found = read_chunk(chunk, spans=True).walk() if chunk else ()
        return [one for one in found if one.locals[:1] != (_SETS,)]

    def visible(self, line: int) -> list[list[int]]:
        """The sites that are there when a line begins to run, the last one last: of each function on it, the innermost first."""
        here = sorted((one for one in self._functions if line in one.lines), key=lambda one: -one.first_line)
        return [[*_visible(one, one.lines.index(line))] for one in here]

    def chain(self, number: int) -> Iterator[Site]:
        """A site, and those before it, whose names it has, too."""
        while site := self.sites.get(number):
            yield site
            number = site.before


def _visible(function: Prototype, at: int) -> Iterator[int]:
    for name, (start, end) in zip(function.locals, function.spans, strict=True):
        if start <= at < end and (found := _NUMBERED.fullmatch(name)):
            yield int(found[1])


def _has_room(first: Site, source: str) -> bool:
    """Whether there is room for the first site, which takes one local."""
    few = source.count("local") + 4 * source.count("for") < FEW_LOCALS
    return few or bool(dumped(f"{_HEAD}\n{_code(first)}\n{source}".encode("latin-1")))


def _put(text: str, sites: Sequence[Site]) -> tuple[str, list[int]]:
    """The text with its sites, and the source's line of each of its lines."""
    ends = [found.end() for found in LINE_END.finditer(text)]
    parts: list[str] = []
    lines, at = [1], 0
    for site in [*sites, None]:
        until = site.at if site else len(text)
        parts.append(text[at:until])
        lines += range(bisect_right(ends, at) + 2, bisect_right(ends, until) + 2)
        if site:
            parts.append(f"\n{_code(site)}\n " if site.apart else f" {_code(site)} ")
            lines += [0, bisect_right(ends, until) + 1] if site.apart else []
        at = until
    return "".join(parts), lines


def _code(site: Site) -> str:
    own, before = f"{OWN}{site.number}", f"{OWN}{site.before}" if site.before else "nil"
    names = site.names if site.before else GIVEN_SET
    given = [f"{OWN}v{number}" for number in range(len(names))]
    sets = f"if {OWN}set then {','.join(names)}={','.join(given)} end " if names else ""
    gets, takes = ",".join([before, *site.names]), ",".join([f"{OWN}set", *given])
    return f"local {own}=function({takes}){sets}return {gets} end {OWN}see[{own}]={site.number}"
