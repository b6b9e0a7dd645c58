"""`check` and `try`: sprocs on disk, by their files. Without redis, and without GitPython unless the index is asked for."""

from __future__ import annotations

import dataclasses
import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import Problem, ProblemsError, RepositoryError
from luasprocs.language.compiler import misuse_problems, syntax_problems
from luasprocs.language.sproc import (
    SOURCE_LIMIT_BYTES,
    SUFFIX,
    Sproc,
    git_blob_id,
    name_problem,
    problems_of,
    read_sproc,
)
from sync.git.checkout import find_top, settings_of
from sync.git.config import run_git
from sync.git.entries import SUBMODULE, SYMLINK, UNFIT, records
from sync.git.worktree import read_saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Checked = tuple[int, list[Problem]]


def check_files(flags: Mapping[str, object], files: Sequence[str]) -> Checked:
    """How many files were looked at, and their problems. Without files: every sproc of the work tree.

    Raises:
        RepositoryError: a file isn't there, or there is no sproc folder.
    """
    start = Path(str(flags.get("repo", ".")))
    top = find_top(start)
    folder = (top or start) / (settings_of(top).folder if top else "sprocs")
    if files:
        wanted = {path: _name(path, folder) for path in map(Path, files)}
        foreign = {path: why for path in wanted if top and (why := _foreign(path, top))}
        problems = [Problem(str(path), 1, 1, why) for path, why in foreign.items()]
        sound = {path: name for path, name in wanted.items() if path not in foreign}
        return len(wanted), sorted([*problems, *_check(sound, folder, whole=False)])
    if not folder.is_dir():
        raise RepositoryError(f"there is no folder {folder}: luasprocs init makes one, luasprocs.toml names another")
    if top and (why := _foreign(folder / SUFFIX, top)):
        return 0, [Problem(str(_short(folder)), 1, 1, why)]
    paths, submodules = _listed(folder)
    problems = [Problem(str(_short(path)), 1, 1, UNFIT[SUBMODULE]) for path in submodules]
    return len(paths), sorted(
        [*problems, *_check({_short(path): _name(path, folder) for path in paths}, folder, whole=True)]
    )


def _check(wanted: Mapping[Path, str], folder: Path, *, whole: bool) -> list[Problem]:
    sprocs: list[Sproc] = []
    problems: list[Problem] = []
    for path, name in wanted.items():
        try:
            sprocs.append(_read(path, name))
        except ProblemsError as error:
            problems += error.problems
    shown = {name: path for path, name in wanted.items()}
    others = [] if whole else list(_libraries(sprocs, folder, set(shown)))
    problems += (
        dataclasses.replace(problem, path=str(shown[problem.path]))
        for problem in problems_of([*sprocs, *others])
        if problem.path in shown
    )
    for sproc in sprocs:
        problems += syntax_problems(str(shown[sproc.name]), sproc.source)
        problems += misuse_problems(str(shown[sproc.name]), sproc.source, sproc.runasync)
    return sorted(set(problems))


def _libraries(sprocs: Iterable[Sproc], folder: Path, known: set[str]) -> Iterable[Sproc]:
    """The other sprocs of the work tree, if any of these may need them: those that are sound."""
    if not any(b"require" in sproc.source for sproc in sprocs) or not folder.is_dir():
        return
    for path in _lua_files(folder):
        name = _name(path, folder)
        if name not in known:
            try:
                yield _read(path, name)
            except ProblemsError:
                continue


def _name(path: Path, folder: Path) -> str:
    """A file's sproc name: its path below the sproc folder, or its own name when it lies elsewhere."""
    try:
        return path.absolute().resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return path.name


def _short(path: Path) -> Path:
    """The path as a user would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _lua_files(folder: Path) -> list[Path]:
    return _listed(folder)[0]


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The `.lua` files below a folder, and the submodules: what git doesn't ignore, or all where there is no git."""
    paths = _git_lists(folder)
    if paths is None:
        paths = [Path(place, name) for place, _, files in os.walk(folder) for name in files]
    # Git lists a folder only where another repository begins, and files that are gone.
    submodules = {path for path in paths if path.is_dir() and not path.is_symlink()}
    files = {path for path in paths if path.name.endswith(SUFFIX) and os.path.lexists(path)} - submodules
    return sorted(files), sorted(submodules)


def _git_lists(folder: Path) -> list[Path] | None:
    """The files that `sync --worktree` would see; None outside a repository."""
    try:
        answer = run_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except RepositoryError:
        return None
    return [folder / name for name in records(answer.stdout)] if answer.returncode == 0 else None


def _foreign(path: Path, top: Path) -> str:
    """Why a file is none that the repository at `top` has: a symlink or a submodule stands above it; else ""."""
    above = path.absolute().parents
    if top not in above:
        return ""
    for folder in takewhile(lambda folder: folder != top, above):
        if folder.is_symlink():
            return f"the folder {folder.name!r} is a symlink, which no sync follows: make it a folder"
        if (folder / ".git").exists():
            return f"the folder {folder.name!r} is a submodule, which no sync enters: move the sprocs out of it"
    return ""


def _read(path: Path, name: str) -> Sproc:
    """Raises ProblemsError for what is in the file, RepositoryError when it can't be read."""
    shown = str(path)
    if path.is_symlink():
        raise ProblemsError([Problem(shown, 1, 1, UNFIT[SYMLINK])])
    if wrong := name_problem(name):
        raise ProblemsError([Problem(shown, 1, 1, wrong)])
    source = read_saved(path, SOURCE_LIMIT_BYTES)
    if source is None:
        raise RepositoryError(f"{shown} can't be read: No such file or directory")
    if len(source) > SOURCE_LIMIT_BYTES:
        said = f"the file has {path.stat().st_size:,} bytes, more than {SOURCE_LIMIT_BYTES:,}: keep data out of sprocs"
        raise ProblemsError([Problem(shown, 1, 1, said)])
    return read_sproc(name, shown, source, git_blob_id(source))


def check_staged(flags: Mapping[str, object], files: Sequence[str]) -> Checked:
    """The same of the index's blobs, and only what the next commit changes if files are named."""
    # GitPython costs 90 ms, which a check of files doesn't need.
    from sync.git.repository import Repository  # noqa: PLC0415
    from sync.reconcile.desired import problems_in, read_index  # noqa: PLC0415

    repository = Repository.open(str(flags["repo"]) if "repo" in flags else None)
    desired = read_index(repository)
    names = None
    if files:
        top = repository.path.resolve()
        paths = {
            Path(file).resolve().relative_to(top).as_posix()
            for file in files
            if Path(file).resolve().is_relative_to(top)
        }
        names = [name for name in desired.entries if desired.path(name) in paths]
    return len(desired.entries if names is None else names), problems_in(repository, desired, names)


def work_tree_sprocs(file: Path) -> tuple[str, list[Sproc]]:
    """A file's name as a sproc, and it with all the sound sprocs of its work tree.

    Raises:
        ProblemsError: the file itself is broken.
    """
    top = find_top(file.absolute().parent)
    folder = (top / settings_of(top).folder) if top else file.parent
    name = _name(file, folder)
    sprocs = [_read(file, name)]
    if top and folder.is_dir():
        for path in _lua_files(folder):
            other = _name(path, folder)
            if other != name:
                try:
                    sprocs.append(_read(path, other))
                except ProblemsError:
                    continue
    return name, sprocs
