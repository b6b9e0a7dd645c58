"""The sprocs of what git wants live, read in one go, and what is wrong with them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from luasprocs.errors import Problem, ProblemsError
from luasprocs.language.check import check, require_problems, unit_of
from luasprocs.language.compiler import syntax_problems
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import Sproc, read_sproc
from sync.reconcile.workspaces import GitWorkspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired


def read_sprocs(repository: Repository, desired: Desired, names: Iterable[str]) -> list[Sproc]:
    """The sprocs of some names, read from git in one go.

    Raises:
        ProblemsError: with all that is wrong in these files, their syntax too, and all of `desired.problems`.
    """
    sprocs, problems = _read(repository, desired, names)
    if problems or desired.problems:
        raise ProblemsError({*problems, *desired.problems, *_problems_among(repository, desired, sprocs)})
    return sprocs


def each_sproc(repository: Repository, desired: Desired, names: Iterable[str]) -> Iterator[Sproc]:
    """What `read_sprocs` reads, each one as soon as it is, so that its reader can work while others do.

    Raises:
        ProblemsError: as `read_sprocs`, but after the last one; before the first where no blob is needed to tell.
    """
    if desired.problems:
        read_sprocs(repository, desired, names)
    sprocs: list[Sproc] = []
    problems: list[Problem] = []
    for sproc in _each(repository, desired, names, problems):
        sprocs.append(sproc)
        yield sproc
    if problems:
        raise ProblemsError({*problems, *_problems_among(repository, desired, sprocs)})


def check_sprocs(repository: Repository, desired: Desired, sprocs: Iterable[Sproc], *, syntax: bool = True) -> None:
    """Refuses sprocs that can't work: their syntax, and `require` of what is no library of `desired`.

    `syntax` False leaves their syntax to the server, which compiles them anyway.

    Raises:
        ProblemsError: with all that is wrong, `desired.problems` too.
    """
    if problems := {*desired.problems, *_problems_among(repository, desired, sprocs, syntax=syntax)}:
        raise ProblemsError(problems)


def problems_in(repository: Repository, desired: Desired, names: Iterable[str] | None = None) -> list[Problem]:
    """All that is wrong with some sprocs (None: all of them), misuse too; sorted."""
    wanted = desired.entries.keys() if names is None else set(names)
    paths = {desired.path(name) for name in wanted}
    early = (problem for problem in desired.problems if names is None or problem.path in paths)
    passed_over = desired.passed_over if names is None else ()
    return sorted({*early, *passed_over, *check(GitWorkspace(repository, desired), wanted)})


def errors_in(repository: Repository, desired: Desired, names: Iterable[str]) -> list[Problem]:
    """What keeps some sprocs from being applied."""
    wanted = set(names)
    return [one for one in problems_in(repository, desired, wanted) if one.kind == "error"] if wanted else []


def libraries_among(repository: Repository, desired: Desired, names: Iterable[str]) -> bool:
    """Whether one of those that it has is a library, which others may require; of broken ones nobody knows."""
    there = [name for name in names if name in desired.entries]
    sprocs, problems = _read(repository, desired, there)
    return bool(problems) or any(sproc.library for sproc in sprocs)


def _read(repository: Repository, desired: Desired, names: Iterable[str]) -> tuple[list[Sproc], list[Problem]]:
    """The sound ones, and what is wrong with the others."""
    problems: list[Problem] = []
    return list(_each(repository, desired, names, problems)), problems


def _each(repository: Repository, desired: Desired, names: Iterable[str], problems: list[Problem]) -> Iterator[Sproc]:
    """The sound ones; what is wrong with the others is added to `problems`."""
    defaults = desired.settings.defaults
    for name, source in GitWorkspace(repository, desired).read(sorted(set(names))).items():
        try:
            sproc = read_sproc(name, desired.path(name), source, desired.entries[name], desired.commit.sha)
        except ProblemsError as error:
            problems += error.problems
            continue
        yield sproc._replace(values=with_defaults(sproc.values, defaults)) if defaults else sproc


def _problems_among(
    repository: Repository, desired: Desired, sprocs: Iterable[Sproc], *, syntax: bool = True
) -> list[Problem]:
    """Wrong syntax, and `require` of what is no library; of others only those are read that they require."""
    checked = {sproc.name: sproc for sproc in sprocs}
    workspace = GitWorkspace(repository, desired)
    wrong = (syntax_problems(desired.path(name), sproc.source) for name, sproc in checked.items() if syntax)
    among = require_problems(workspace, {name: unit_of(sproc) for name, sproc in checked.items()})
    return [*among, *chain.from_iterable(wrong)]
