"""A source with its sites, see sites.py: which lines it has then, and what can be seen from each. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING

from luasprocs.language.chunk import read_chunk
from luasprocs.language.compiler import dumped
from luasprocs.language.shebang import compilable
from sync.debugger.backend.sites import GIVEN_SET, LEVELS, Site, SiteFinder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.language.chunk import Prototype

OWN = "luasprocs_"
MARK_BYTES = 2
"""Of `#!`: a source as short has no code."""
_HEAD = f"local {OWN}see "
_LINE_END = re.compile(r"\r\n?|\n\r?")
_NUMBERED = re.compile(rb"luasprocs_(\d+)")
_SETS = f"{OWN}set".encode()


class SitedSource:
    """`text`: the source with its sites, as boot.lua takes it; "" for none. `lines`: the source's line of each line, 0 of none.

    What the engine puts before a source stands on a line of its own.
    """

    def __init__(self, source: bytes, first: int, *, wanted: bool = True) -> None:
        source = compilable(source)
        plain = source.decode("latin-1")
        self.sites: dict[int, Site] = {}
        self.text = b""
        self.lines = [0, *range(1, len(_LINE_END.findall(plain)) + 2)]
        for level in LEVELS if wanted and len(source) > MARK_BYTES and OWN not in plain else ():
            try:
                sites = SiteFinder(plain, first, level).sites
            except (IndexError, RecursionError):  # nested deeper than anybody does
                continue
            text, lines = _put(plain, sites)
            if dumped((_HEAD + text).encode("latin-1")):
                self.sites = {one.number: one for one in sites}
                self.text, self.lines = text.encode("latin-1"), lines
                break
        self._firsts = {line: number for number, line in reversed([*enumerate(self.lines, 1)])}

    def line(self, line: int) -> int:
        """The line that stands for one of the source."""
        return self._firsts.get(line, line)

    @cached_property
    def _functions(self) -> Sequence[Prototype]:
        chunk = dumped(_HEAD.encode() + self.text) if self.text else b""
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


def _put(text: str, sites: Sequence[Site]) -> tuple[str, list[int]]:
    """The text with its sites, and the source's line of each of its lines."""
    ends = [found.end() for found in _LINE_END.finditer(text)]
    parts: list[str] = []
    lines, at = [0], 0
    for site in [*sites, None]:
        until = site.at if site else len(text)
        parts.append(text[at:until])
        lines += range(bisect_left(ends, at + 1) + 2, bisect_left(ends, until + 1) + 2)
        if site:
            parts.append(f"\n{_code(site)}\n " if site.apart else f" {_code(site)} ")
            lines += [0, bisect_left(ends, until + 1) + 1] if site.apart else []
        at = until
    return "".join(parts), lines


def _code(site: Site) -> str:
    own, before = f"{OWN}{site.number}", f"{OWN}{site.before}" if site.before else "nil"
    settable = GIVEN_SET if not site.before else site.names
    sets = ",".join(settable) or _SETS.decode()
    gets = ",".join([before, *site.names])
    return (
        f"local {own}=function({_SETS.decode()},...)if {_SETS.decode()} then {sets}=... end return {gets} end "
        f"{OWN}see[{own}]={site.number}"
    )
