"""What git wants live: the `.lua` files of a commit, the index or the work tree, and their faults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import NoFolderError, Problem
from luasprocs.language.files import SOURCE_LIMIT_BYTES, SUFFIX, case_clashes, name_problem, size_problem
from luasprocs.language.problems import problem
from sync.git.commits import Commit
from sync.git.entries import SUBMODULE, SYMLINK, UNFIT
from sync.git.worktree import read_saved
from sync.repository_settings import SETTINGS_FILE, RepositorySettings, repository_settings
from sync.toml import LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sync.git.entries import Entry
    from sync.git.repository import Repository

WORKTREE = "worktree"
GONE = "000000"
INDEX = "index"


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be live. `entries`: each sproc's name, below `folder`, to its blob id, broken ones too.

    `commit`: its `sha` is WORKTREE or INDEX where the files are no commit's. `branch`: "" when it is none.
    `problems`: what is wrong before any blob is read, paths as seen from the repository's top; `passed_over`: what was
    meant as a sproc and is none; `unreadable`: names of what is no file, or too big.
    `sources`: bytes that were read from disk, by blob. `absent`: why there is no sproc folder, if there is none: the last
    sproc may have been deleted, which git can't tell from a mistake. `moving`: a file that is being written, and stands here as
    it was before.
    """

    commit: Commit
    folder: str
    entries: Mapping[str, str]
    branch: str = ""
    problems: tuple[Problem, ...] = ()
    unreadable: frozenset[str] = frozenset()
    settings: RepositorySettings = field(default_factory=RepositorySettings)
    sources: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    absent: str = ""
    passed_over: tuple[Problem, ...] = ()
    moving: str = ""

    def path(self, name: str) -> str:
        """Where a sproc's file stands, seen from the repository's top."""
        return f"{self.folder}/{name}" if self.folder else name


class Found(NamedTuple):
    """Sprocs among files, name to blob id; problems; names that there is no reading of; `passed_over`: what is no sproc."""

    entries: dict[str, str]
    problems: tuple[Problem, ...]
    unreadable: frozenset[str]
    passed_over: tuple[Problem, ...] = ()


def read_commit(repository: Repository, revision: str | None = None, known: Desired | None = None) -> Desired:
    """What a commit wants, by its own luasprocs.toml; None: the commit that is checked out.

    `known`: what another one wants; if it has no problems, only what differs from it is looked at.

    Raises:
        RepositoryError: no such commit, or what should be its sproc folder is something else.
        SettingsError: its luasprocs.toml can't be used.
    """
    commit = repository.resolve(revision)
    branch = repository.branch if revision is None else repository.branch_named(revision)
    if known is not None and not (known.problems or known.absent or known.passed_over):
        found = _updated(repository, commit, known)
        if found is not None:
            return _desired(commit, branch, known.settings, found)
    settings = _settings(repository, commit.sha)
    try:
        tree = repository.tree(commit, settings.folder)
    except NoFolderError as error:
        return Desired(commit, settings.folder, {}, branch or "", settings=settings, absent=str(error))
    found = read_entries(tree, settings.folder)
    return _desired(commit, branch, settings, found)


def _updated(repository: Repository, commit: Commit, known: Desired) -> Found | None:
    """What a commit wants, by what another one wanted; None where all must be read."""
    if known.commit.sha == commit.sha:
        return Found(dict(known.entries), (), frozenset())
    if not repository.knows(known.commit.sha):
        return None
    changes = repository.changes(known.commit.sha, commit.sha)
    if any(change.path in {SETTINGS_FILE, known.folder} for change in changes):
        return None
    prefix = f"{known.folder}/" if known.folder else ""
    ours = [one._replace(path=one.path.removeprefix(prefix)) for one in changes if one.path.startswith(prefix)]
    entries = dict(known.entries)
    for change in ours:
        entries.pop(change.path, None)
    found = read_entries((one for one in ours if one.mode != GONE), known.folder)
    added = found.entries.keys() - known.entries.keys()
    entries |= found.entries
    if not entries:
        return None  # whether the folder is there at all
    problems = {*found.problems, *(_clashes(entries, prefix) if added else ())}
    return Found(dict(sorted(entries.items())), tuple(sorted(problems)), found.unreadable, found.passed_over)


def read_index(repository: Repository) -> Desired:
    """What the next commit would want: what is staged, by the staged luasprocs.toml."""
    settings = _settings(repository, "")
    found = read_entries(repository.index(settings.folder), settings.folder)
    commit = Commit(INDEX, "", "what is staged", 0)
    return _desired(commit, repository.branch, settings, found)


def read_worktree(repository: Repository, *, wait: bool = True) -> Desired:
    """What the files on disk want, ignored ones left out. Its bytes are read here, once, and kept.

    `wait`: until nothing is being written; else such a sproc is as it was in the last look, and `moving` names it.
    """
    settings = repository_settings(read_saved(repository.path / SETTINGS_FILE, LIMIT_BYTES))
    files = repository.worktree(settings.folder, SUFFIX, SOURCE_LIMIT_BYTES, wait=wait)
    found = read_entries(files.entries, settings.folder)
    commit = Commit(WORKTREE, "", "the work tree", 0)
    return replace(_desired(commit, repository.branch, settings, found, files.sources), moving=files.moving)


def _desired(
    commit: Commit,
    branch: str | None,
    settings: RepositorySettings,
    found: Found,
    sources: Mapping[str, bytes] | None = None,
) -> Desired:
    return Desired(
        commit,
        settings.folder,
        found.entries,
        branch or "",
        found.problems,
        found.unreadable,
        settings,
        sources or {},
        passed_over=found.passed_over,
    )


def read_entries(found: Iterable[Entry], folder: str) -> Found:
    """Sprocs among files, and what is wrong that no blob tells. Pure."""
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, str] = {}
    problems: list[Problem] = []
    unreadable: set[str] = set()
    passed_over: list[Problem] = []
    for entry in found:
        if not entry.path.endswith(SUFFIX) and entry.mode != SUBMODULE:
            passed_over += (problem(prefix + entry.path, "file.ignored", why) for why in _passed_over(entry))
            continue
        problems += _wrong_with(entry, prefix + entry.path)
        if entry.path.endswith(SUFFIX):
            entries[entry.path] = entry.blob
            if entry.mode in UNFIT or size_problem(entry.size or 0, ""):
                unreadable.add(entry.path)
    problems += _clashes(entries, prefix)
    return Found(entries, tuple(sorted(problems)), frozenset(unreadable), tuple(sorted(passed_over)))


def _settings(repository: Repository, revision: str) -> RepositorySettings:
    return repository_settings(repository.file(revision, SETTINGS_FILE, LIMIT_BYTES))


def _passed_over(entry: Entry) -> Iterator[str]:
    """Why a file that was meant as a sproc is none."""
    if entry.path.lower().endswith(SUFFIX):
        yield f"the name ends in {entry.path[-len(SUFFIX) :]}: rename it to {SUFFIX}"
    elif entry.mode == SYMLINK:
        yield "symlinks are ignored: copy the files"


def _wrong_with(entry: Entry, path: str) -> Iterator[Problem]:
    if wrong := name_problem(entry.path) if entry.path.endswith(SUFFIX) else None:
        yield problem(path, "name.invalid", wrong)
    if entry.mode in UNFIT:
        yield problem(path, "file.not-regular", UNFIT[entry.mode])
    elif large := size_problem(entry.size or 0, path):
        yield large


def _clashes(names: Iterable[str], prefix: str) -> Iterator[Problem]:
    return (problem(prefix + name, "name.clash", what) for name, what in case_clashes(names))
