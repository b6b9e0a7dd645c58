"""A sproc: one Lua file with its name and metadata. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.files import name_problem, size_problem
from luasprocs.language.metadata import says_yes
from luasprocs.language.problems import problem
from luasprocs.language.triggers import is_scheduled

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sproc(NamedTuple):
    """A sproc as git has it: its name, source and metadata as written; `blob` and `commit` are git's ids.

    `edit`: of a live edit that is not yet committed, who made it, as luasprocs.registry.edits stores it.
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


def read_sproc(name: str, path: str, source: bytes, blob: str, commit: str = "") -> Sproc:
    """A sproc from a file's bytes; `path` is for messages.

    The Lua below a sound header is left to whoever compiles next (the server, or `analyse`): that takes longer than all that
    is done here. Below a broken one it is compiled, so that both are told at once.

    Raises:
        ProblemsError: all that is wrong with name, size, encoding and header.
    """
    problems = []
    if wrong := name_problem(name):
        problems.append(problem(path, "name.invalid", wrong))
    values: dict[str, str] = {}
    if large := size_problem(len(source), path):
        problems.append(large)
    else:
        try:
            values = header.values_of(source, path)
        except ProblemsError:
            from luasprocs.language.analysis import analyse  # noqa: PLC0415  # 5 ms of every start, needed by broken ones

            problems += (one for one in analyse(source, path).problems if one.kind == "error")
    if problems:
        raise ProblemsError(problems)
    return Sproc(name, source, blob, values, commit)
