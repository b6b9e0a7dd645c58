"""Sprocs from sources, checked as `luasprocs check` does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luasprocs.errors import ProblemsError
from luasprocs.language.check import check
from luasprocs.language.files import SUFFIX
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.language.workspace import Overlay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from luasprocs.language.sproc import Sproc


@dataclass(frozen=True, slots=True)
class _Live:
    """The live sprocs as a workspace."""

    sources: Mapping[str, bytes]
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Collection[str]:
        return self.sources.keys()

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        return {name: self.sources[name] for name in names if name in self.sources}

    def path(self, name: str) -> str:
        return name


def sources_in(folder: Path) -> dict[str, bytes]:
    """Every `.lua` file below a folder, by its path in it."""
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def read_sources(live: Sequence[Sproc], sources: Mapping[str, str | bytes]) -> list[Sproc]:
    """Sprocs of these sources, to be put beside the live ones.

    Raises:
        ProblemsError: all that is wrong with them, alone and beside what is live.
    """
    found = {name: source.encode() if isinstance(source, str) else source for name, source in sources.items()}
    workspace = Overlay(_Live({sproc.name: sproc.source for sproc in live}), found)
    problems = [one for one in check(workspace, found) if one.kind == "error"]
    if problems:
        raise ProblemsError(problems)
    return [read_sproc(name, name, source, git_blob_id(source)) for name, source in found.items()]
