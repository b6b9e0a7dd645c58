"""A commit that a daemon makes: files, index and branch move along, each step such that a killed one is finished later."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import RepositoryError
from sync.git.entries import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.operations.terminal import Printable
    from sync.git.process import Git
    from sync.git.repository import Repository


def why_dirty(repository: Repository, branch: str, path: str, wanted: bytes) -> str:
    """Why a file of a checked-out branch must not be replaced by `wanted`, or "": it has changes that nobody committed."""
    git = repository.git
    if repository.bare or repository.branch != branch:
        return ""
    if git.absolute("index.lock").exists():
        return "git's index is locked: another git is at work, or remove a stale index.lock"
    file = repository.path / path
    try:
        here = file.read_bytes() if file.is_file() and not file.is_symlink() else None
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    if here is not None and path in (stored := repository.cleaned({path: here})):
        here = stored[path][1]
    staged = text(git.must("ls-files", "-s", "--", path)).splitlines()
    blob = staged[0].split()[1] if len(staged) == 1 else ""  # `mode blob stage`, a tab, and a name that may have blanks
    committed = repository.file("HEAD", path, len(wanted) + (1 << 24))
    of_index = repository.blobs([blob])[blob] if blob else None
    if here in {committed, wanted} and of_index in {committed, wanted}:
        return ""
    return f"{path} has changes that are not committed: commit or discard them"


class Label(NamedTuple):
    """What a commit says: `author`: `Name <mail>`; `sign`: it is signed, by git's own settings."""

    message: Printable
    author: str
    sign: bool = False


def commit_files(repository: Repository, branch: str, parent: str, files: Mapping[str, bytes], label: Label) -> str:
    """A commit on a branch whose tip is `parent`, with these files. Of a checked-out one file, index and HEAD move along.

    Steps that are killed in between leave nothing that a later call does not finish. Returns the commit's id.

    Raises:
        RepositoryError: the branch has moved, the commit can't be signed, or git refuses.
    """
    git = repository.git
    checked_out = not repository.bare and repository.branch == branch
    name, _, mail = label.author.partition(" <")
    people = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail.rstrip(">")}
    people |= {"GIT_COMMITTER_NAME": "luasprocs", "GIT_COMMITTER_EMAIL": "luasprocs@localhost"}
    with tempfile.TemporaryDirectory() as folder:
        apart = {**people, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.must("read-tree", parent, environment=apart)
        blobs = {}
        for path, content in files.items():
            mode = text(git.must("ls-tree", parent, "--", path)).partition(" ")[0] or "100644"
            blobs[path] = (mode, _stored(git, content))
            git.must("update-index", "--add", "--cacheinfo", f"{mode},{blobs[path][1]},{path}", environment=apart)
        tree = text(git.must("write-tree", environment=apart)).strip()
        options = ("-S",) if label.sign else ("--no-gpg-sign",)
        made = git.must("commit-tree", *options, "-p", parent, "-m", label.message, tree, environment=people)
        sha = text(made).strip()
    if checked_out:
        for path, (mode, blob) in blobs.items():
            on_disk = git.must(
                "cat-file", "--filters", f"--path={path}", blob
            )  # with the line ends that are wanted here
            _replace(repository.path / path, on_disk)
            git.must("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    git.must("update-ref", "-m", "luasprocs: live edit", f"refs/heads/{branch}", sha, parent)
    if checked_out:
        git.run("update-index", "-q", "--refresh")
    return sha


def _stored(git: Git, content: bytes) -> str:
    """The id of a blob that is now in the repository."""
    with tempfile.TemporaryFile() as source:
        source.write(content)
        source.seek(0)
        return text(git.must("hash-object", "-w", "--stdin", stdin=source)).strip()


def _replace(path: Path, content: bytes) -> None:
    """A file's content, in one step, its rights kept."""
    written = path.with_name(f".{path.name}.luasprocs")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)
        if path.exists():
            written.chmod(path.stat().st_mode)
        written.replace(path)
    except OSError as error:
        raise RepositoryError(f"{str(path)!r} can't be written: {error.strerror}") from error
