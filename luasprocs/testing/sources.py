"""Sprocs from sources, as `luasprocs check` would read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import Problem, ProblemsError
from luasprocs.language.compiler import syntax_problems
from luasprocs.language.sproc import SUFFIX, git_blob_id, problems_of, read_sproc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.language.sproc import Sproc


def sources_in(folder: Path) -> dict[str, bytes]:
    """Every `.lua` file below a folder, by its path in it."""
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def read_sources(live: Sequence[Sproc], sources: Mapping[str, str | bytes]) -> list[Sproc]:
    """Sprocs of these sources. `live`: those beside which they are to be.

    Raises:
        ProblemsError: all that is wrong with them, alone and beside what is live.
    """
    sprocs: list[Sproc] = []
    problems: list[Problem] = []
    for name, source in sources.items():
        data = source.encode() if isinstance(source, str) else source
        try:
            sprocs.append(read_sproc(name, name, data, git_blob_id(data)))
        except ProblemsError as error:
            problems += error.problems
        else:
            problems += syntax_problems(name, data)
    if not problems:
        others = [sproc for sproc in live if sproc.name not in sources]
        problems = [one for one in problems_of([*others, *sprocs]) if one.path in sources]
    if problems:
        raise ProblemsError(problems)
    return sprocs
