"""`check` and `try`: sprocs on disk, by their files. Without redis, and without GitPython unless the index is asked for."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import ProblemsError, RepositoryError
from luasprocs.language.check import check
from luasprocs.language.files import SUFFIX
from luasprocs.language.problems import problem
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from sync.git.checkout import find_top, settings_of
from sync.git.entries import SUBMODULE, UNFIT
from sync.reconcile.slots import slot_problems
from sync.reconcile.workspaces import DiskWorkspace, GitWorkspace, lua_files, sproc_name
from sync.repository_settings import RepositorySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from luasprocs.errors import Problem

    Checked = tuple[int, list[Problem]]


def check_files(flags: Mapping[str, object], files: Sequence[str]) -> Checked:
    """How many files were looked at, and their problems. Without files: every sproc of the work tree.

    Raises:
        RepositoryError: a file isn't there, or there is no sproc folder.
    """
    start = Path(str(flags.get("repo", ".")))
    top = find_top(start)
    folder = (top or start) / (settings_of(top).folder if top else "sprocs")
    settings = settings_of(top) if top else RepositorySettings()
    defaults = settings.defaults
    if files:
        wanted = list(map(Path, files))
        foreign = {path: why for path in wanted if top and (why := _foreign(path, top))}
        problems = [problem(str(path), "file.not-regular", why) for path, why in foreign.items()]
        named = _named((path for path in wanted if path not in foreign), folder)
        return len(wanted), _checked(DiskWorkspace(folder, named, defaults), named, problems, cluster=settings.cluster)
    if not folder.is_dir():
        raise RepositoryError(f"there is no folder {folder}: luasprocs init makes one, luasprocs.toml names another")
    if top and (why := _foreign(folder / SUFFIX, top)):
        return 0, [problem(str(_short(folder)), "file.not-regular", why)]
    paths, submodules = lua_files(folder)
    problems = [problem(str(_short(path)), "file.not-regular", UNFIT[SUBMODULE]) for path in submodules]
    named = {sproc_name(path, folder): _short(path) for path in paths}
    return len(paths), _checked(
        DiskWorkspace(folder, named, defaults, whole=True), named, problems, cluster=settings.cluster
    )


def _named(paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Files by their names as sprocs; of two of one name, which lie elsewhere, the second by its whole path."""
    named: dict[str, Path] = {}
    for path in paths:
        name = sproc_name(path, folder)
        named[name if named.get(name, path) == path else path.as_posix()] = path
    return named


def _checked(
    workspace: DiskWorkspace, names: Iterable[str], problems: Iterable[Problem], *, cluster: bool
) -> list[Problem]:
    slots = slot_problems(workspace, names) if cluster else ()
    return sorted({*problems, *workspace.unread(), *check(workspace, names), *slots})


def _short(path: Path) -> Path:
    """The path as a user would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _foreign(path: Path, top: Path) -> str:
    """Why a file is none that the repository at `top` has: a symlink or a submodule stands above it; else ""."""
    above = path.absolute().parents
    if top not in above:
        return ""
    for folder in takewhile(lambda folder: folder != top, above):
        if folder.is_symlink():
            return f"the folder {folder.name!r} is a symlink: sync doesn't follow it"
        if (folder / ".git").exists():
            return f"the folder {folder.name!r} is a submodule: move the sprocs out of it"
    return ""


def check_staged(flags: Mapping[str, object], files: Sequence[str]) -> Checked:
    """The same of the index's blobs, and only what the next commit changes if files are named."""
    # GitPython costs 90 ms, which a check of files doesn't need.
    from sync.git.repository import Repository  # noqa: PLC0415
    from sync.reconcile.desired import read_index  # noqa: PLC0415
    from sync.reconcile.desired_sprocs import problems_in  # noqa: PLC0415

    repository = Repository.open(str(flags["repo"]) if "repo" in flags else None, quick=True)
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
    wanted = list(desired.entries) if names is None else names
    slots = slot_problems(GitWorkspace(repository, desired), wanted) if desired.settings.cluster else ()
    return len(wanted), sorted({*problems_in(repository, desired, names), *slots})


def work_tree_sprocs(file: Path) -> tuple[str, list[Sproc]]:
    """A file's name as a sproc, and it with all the sound sprocs of its work tree.

    Raises:
        ProblemsError: the file itself is broken.
    """
    top = find_top(file.absolute().parent)
    folder = (top / settings_of(top).folder) if top else file.parent
    name = sproc_name(file, folder)
    workspace = DiskWorkspace(folder, {name: file}, {})
    if wrong := list(workspace.unread()):
        raise ProblemsError(wrong)
    (source,) = workspace.read([name]).values()
    sprocs = [read_sproc(name, str(file), source, git_blob_id(source))]
    others = workspace.read(one for one in workspace.names if top and one != name)
    for other, source in others.items():
        try:
            sprocs.append(read_sproc(other, workspace.path(other), source, git_blob_id(source)))
        except ProblemsError:
            continue
    return name, sprocs
