"""A sproc: one Lua file with its name and metadata. What makes one valid, alone and among others. Pure."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.errors import Problem, ProblemsError
from luasprocs.language import compiler as lua
from luasprocs.language import header
from luasprocs.language.metadata import says_yes
from luasprocs.language.triggers import is_scheduled
from luasprocs.language.values import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SOURCE_LIMIT_BYTES = 1024 * 1024
NAME_LIMIT_BYTES = 512
SUFFIX = ".lua"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Sproc:
    """A sproc as git has it: its name, source and metadata as written; `blob` and `commit` are git's ids.

    `edit`: of a live edit that is not yet committed, who made it, as luasprocs.editing stores it.
    """

    name: str
    source: bytes
    blob: str
    values: Mapping[str, str]
    commit: str = ""
    edit: str = ""

    @property
    def sha(self) -> str:
        """The SHA1 of the source, in hex: what SCRIPT LOAD answers."""
        return hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    @property
    def scheduled(self) -> bool:
        """Whether it has a schedule that runs."""
        return is_scheduled(self.values)

    @property
    def enabled(self) -> bool:
        """Whether it runs at all."""
        return says_yes(self.values, "enabled")

    @property
    def library(self) -> bool:
        """Whether others require it, and it never runs by itself."""
        return says_yes(self.values, "library")

    @property
    def runasync(self) -> bool:
        """Whether it runs in a worker instead of on the server."""
        return says_yes(self.values, "runasync")


def git_blob_id(source: bytes) -> str:
    """The id that git gives a file of these bytes (SHA1 repositories)."""
    return hashlib.sha1(b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()


@functools.lru_cache(maxsize=1 << 17)  # a daemon asks for the same ten thousand again and again
def name_problem(name: str) -> str | None:
    """Why a name can't be used, or None. Blanks, quotes, glob characters and emoji are fine."""
    if found := _CONTROL.search(name):
        return f"the name {shown(name)} holds the control character {found.group()!r}: rename the file"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return f"the name {shown(name)} is not UTF-8: rename the file"
    if size > NAME_LIMIT_BYTES:
        return f"the name has {size} bytes, more than {NAME_LIMIT_BYTES}: rename the file"
    if not name.endswith(SUFFIX):
        return f"the name {shown(name)} does not end in {SUFFIX}: rename the file"
    return None


def read_sproc(name: str, path: str, source: bytes, blob: str, commit: str = "") -> Sproc:
    """A sproc from a file's bytes; `path` is for messages.

    The Lua below a sound header is left to whoever compiles next (the server, or `lua.syntax_problems`): that
    takes longer than all that is done here. Below a broken one it is compiled, so that both are told at once.

    Raises:
        ProblemsError: all that is wrong with name, size, encoding and header.
    """
    problems = []
    if wrong := name_problem(name):
        problems.append(Problem(path, 1, 1, wrong))
    values: dict[str, str] = {}
    if len(source) > SOURCE_LIMIT_BYTES:
        what = f"the file has {len(source):,} bytes, more than {SOURCE_LIMIT_BYTES:,}: keep data out of sprocs"
        problems.append(Problem(path, 1, 1, what))
    else:
        try:
            values = header.values_of(source, path)
        except ProblemsError as error:
            problems += [*error.problems, *_syntax_too(path, source)]
    if problems:
        raise ProblemsError(problems)
    return Sproc(name, source, blob, values, commit)


def _syntax_too(path: str, source: bytes) -> list[Problem]:
    """Syntax problems of a file whose header is broken, if it is text at all."""
    return [] if header.encoding_problems(source, path) else lua.syntax_problems(path, source)


def case_clashes(names: Iterable[str]) -> list[Problem]:
    """Names that are one file where case or Unicode form don't count (macOS), each with the first."""
    first: dict[str, str] = {}
    problems = []
    for name in sorted(names):
        kept = first.setdefault(_folded(name), name)
        if kept != name:
            what = f"the name {shown(name)} is {shown(kept)} where case doesn't count: rename one of them"
            problems.append(Problem(name, 1, 1, what))
    return problems


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def problems_of(sprocs: Iterable[Sproc]) -> list[Problem]:
    """What is wrong among sound sprocs: names that clash, `require` of what is no library of the set.

    Only literals are checked. In a runasync sproc a name without `.lua` means an installed Lua library.
    """
    found = {sproc.name: sproc for sproc in sprocs}
    libraries = {name for name, sproc in found.items() if sproc.library}
    missing = (problem for sproc in found.values() for problem in _missing_libraries(sproc, found, libraries))
    return sorted([*case_clashes(found), *missing, *_cycles(found, libraries)])


def _cycles(found: Mapping[str, Sproc], libraries: set[str]) -> Iterator[Problem]:
    """Libraries that require each other in a circle, each circle once, at the require that closes it."""
    needs = {
        name: [one for one in lua.required(found[name].source) if one[0] in libraries] for name in sorted(libraries)
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> Iterator[Problem]:
        for needed, line, column in needs[name]:
            if needed in way:
                circle = " -> ".join((*way[way.index(needed) :], needed))
                yield Problem(name, line, column, f"require in a circle, which no run gets out of: {circle}")
            elif needed not in done:
                yield from visit(needed, (*way, needed))
        done.add(name)

    for name in needs:
        if name not in done:
            yield from visit(name, (name,))


def _missing_libraries(sproc: Sproc, found: Mapping[str, Sproc], libraries: set[str]) -> Iterator[Problem]:
    for name, line, column in lua.required(sproc.source):
        if name in libraries or (sproc.runasync and not name.endswith(SUFFIX)):
            continue
        if name in found:
            what = f"require of {shown(name)}, which is not library=yes: say so in its header"
        else:
            what = f"require of {shown(name)}, but there is no such library sproc{nearest(name, libraries)}"
        yield Problem(sproc.name, line, column, what)
