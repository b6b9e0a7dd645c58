"""A git repository: its commits, trees and blobs as frozen values."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import NoFolderError, RepositoryError
from sync.git.cleaned import Cleaned
from sync.git.commits import OBJECT_ID, checked_out, knows, read_commit, resolve
from sync.git.config import complaint, git_config, run_git
from sync.git.entries import Entry, read_batch, read_tree_entry, records, text
from sync.git.files import changes, entry, listed, staged
from sync.git.identity import Identities
from sync.git.process import Git
from sync.git.signature import Signature, read_signature
from sync.git.worktree import OnDisk, Saved, when_settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sync.git.commits import Commit
    from sync.git.identity import Identity


class Repository:
    """A git repository, opened by `Repository.open`. Every method may raise RepositoryError.

    `path`: the top of the work tree, of a bare repository its own folder. `git_folder`: where git keeps it. `bare`: there is no
    work tree. `git`: its commands. `name`: in messages, if that isn't `path`.
    """

    def __init__(
        self, path: Path, git_folder: Path, *, bare: bool, here: bool, name: str = "", quick: bool = False
    ) -> None:
        self.path, self.git_folder, self.bare = path, git_folder, bare
        self._name = name
        self._start = None if here else path
        self.git = Git(path, git_folder, bare=bare, here=here, name=name, quick=quick)
        self._identities = Identities(self.git)
        self._saved: Saved | None = None
        self._cleaned: Cleaned | None = None

    @classmethod
    def open(cls, folder: Path | str | None = None, *, quick: bool = False) -> Repository:
        """The repository that `folder` lies in; None: where git's variables say (in a hook), else this one.

        `quick`: for a process that ends soon, and that somebody waits for.

        Raises:
            RepositoryError: no such folder, no repository there, another user owns it, or git is missing.
        """
        start = None if folder is None else Path(folder)
        where, here = (start or Path.cwd()).absolute(), start is None
        answer = _discover(start, where, "--is-bare-repository", "--is-inside-work-tree", "--absolute-git-dir")
        bare, inside, git_folder = answer.split("\n", 2)
        if bare == "true" or inside == "false":
            home = Path(git_folder)
            # Inside the .git of a work tree, where hooks after a push are started.
            if bare == "false" and home.name == ".git":
                return cls(home.parent, home, bare=False, here=here, quick=quick)
            return cls(home, home, bare=True, here=here, quick=quick)
        top = Path(_discover(start, where, "--show-toplevel"))
        inner = str(top) == git_folder and top.name == ".git"
        return cls(top.parent if inner else top, Path(git_folder), bare=False, here=here, quick=quick)

    def again(self) -> Repository:
        """The same one, as the environment is now: a push that was in quarantine is in it."""
        here, quick = self._start is None, self.git.quick
        same = Repository(self.path, self.git_folder, bare=self.bare, here=here, name=self._name, quick=quick)
        same._identities = Identities(same.git, self._identities.last)
        return same

    @property
    def branch(self) -> str | None:
        """The branch that HEAD stands on, with or without a commit; None when it is detached."""
        return checked_out(self.git)

    def resolve(self, revision: str | None = None) -> Commit:
        """The commit that `revision` names to git: branch, tag, full ref, hex digits, `HEAD~2`, `:/text`; None is HEAD.

        Raises:
            RepositoryError: there is no such commit, none at all yet, or the name is two things.
        """
        return resolve(self.git, revision)

    def branch_named(self, revision: str) -> str | None:
        """The branch that a revision is the name of, short or as `refs/heads/…`."""
        if OBJECT_ID.fullmatch(revision):
            return None
        ref = f"refs/heads/{revision.removeprefix('refs/heads/')}"
        return ref[11:] if self.git.run("show-ref", "--verify", "--quiet", ref)[0] == 0 else None

    def tree(self, commit: Commit, folder: str) -> list[Entry]:
        """All files of the commit below `folder`, their paths relative to it; "" is the whole tree.

        Raises:
            NoFolderError: there is none. RepositoryError: a file, a symlink or a submodule stands in its place.
        """
        status, output, stderr = self.git.run("ls-tree", "-r", "-z", "-l", "--full-tree", f"{commit.sha}:{folder}")
        if status != 0:
            raise self._no_folder(commit, folder, complaint(stderr))
        return [read_tree_entry(line) for line in records(output)]

    def _no_folder(self, commit: Commit, folder: str, said: str) -> RepositoryError:
        """Why a folder can't be listed. Objects that are missing must never look like a folder that somebody deleted."""
        arguments = ("ls-tree", "-z", "--full-tree", commit.sha, "--", folder)
        status, above, _ = self.git.run(*arguments) if folder else (1, b"", "")
        if status != 0 or above.startswith(b"040000 "):
            return RepositoryError(
                f"git can't list {commit.sha[:12]} of {self.git.shown}: {said}: git fsck tells more, git fetch may bring it"
            )
        kind = RepositoryError if above else NoFolderError
        return kind(
            f"commit {commit.sha[:12]} of {self.git.shown} has no folder {folder!r}: commit sprocs there, "
            'or name their folder in luasprocs.toml (folder = "…")'
        )

    def index(self, folder: str) -> list[Entry]:
        """All staged files below `folder`, their paths relative to it; none where there is no such folder."""
        return staged(self.git, folder)

    def worktree(self, folder: str, suffix: str, limit_bytes: int, *, wait: bool = True) -> OnDisk:
        """All files on disk below `folder` that git doesn't ignore, and their bytes by blob id: as `git add` would store them.

        Only names ending in `suffix` are read, up to `limit_bytes`; the blob of others is "". A file that is being written is
        waited for, or else here as it was in the last look. What a sparse checkout leaves out is as it is staged.
        """
        if self.bare:
            raise RepositoryError(f"{self.git.shown} is a bare repository and has no work tree: leave out --worktree")
        top = self.path / folder
        if top.is_symlink() or not top.is_dir():
            raise RepositoryError(
                f"there is no folder {folder!r} in {self.git.shown}: make it, or name the right one "
                'in luasprocs.toml (folder = "…")'
            )
        saved = self._saved = self._saved or Saved(self.object_format)

        def look() -> OnDisk:
            found, absent = listed(self.git, folder, top)
            return saved.read(top, found, suffix, limit_bytes)._replace(absent=absent)

        seen = when_settled(look) if wait else look()
        prefix = f"{folder}/" if folder else ""
        stored = self.cleaned({prefix + one.path: seen.sources[one.blob] for one in seen.entries if one.blob})
        if not stored and not seen.absent:
            return seen
        entries = [_stored_as(one, stored.get(prefix + one.path)) for one in seen.entries]
        entries += [one for one in (self.index(folder) if seen.absent else ()) if one.path in seen.absent]
        return OnDisk(sorted(entries, key=lambda one: one.path), seen.sources | dict(stored.values()), seen.moving)

    def cleaned(self, sources: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        """Blob and bytes of those files, by path from the top, that git would not store as they are on disk."""
        if self._cleaned is None:
            index, objects = (self.git.absolute(place).absolute() for place in ("index", "objects"))
            self._cleaned = Cleaned(self.git.must, self.path, index, objects)
        return self._cleaned.of(sources)

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The contents of blobs by their ids, all through one process."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        return dict(read_batch(self.git.ask("--batch", wanted), self.git.shown))

    def file(self, revision: str, path: str, limit_bytes: int) -> bytes | None:
        """One file of a commit (its sha; "" is the index), or None where there is none.

        Raises:
            RepositoryError: it is over `limit_bytes`.
        """
        if (found := entry(self.git, revision, path)) is None:
            return None
        if found.size is None:
            raise RepositoryError(f"{path} is missing in {self.git.shown}: git fsck tells more, git fetch may bring it")
        if found.size > limit_bytes:
            raise RepositoryError(f"{path} in {self.git.shown} has {found.size} bytes: at most {limit_bytes} are read")
        return self.blobs([found.blob])[found.blob]

    def identity(self, first: Commit | None = None) -> Identity:
        """Which repository this is, seen from HEAD; from `first` where HEAD has no commit yet (a first push is judged)."""
        try:
            sha = self.resolve().sha
        except RepositoryError:
            if first is None or not self.knows(first.sha):
                raise
            sha = first.sha
        return self._identities.seen_from(sha)

    def knows(self, sha: str) -> bool:
        """Whether this repository has the commit, in whatever history."""
        return knows(self.git, sha)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether commit `newer` descends from (or is) commit `older`, as far as this clone can tell."""
        if not (OBJECT_ID.fullmatch(older) and OBJECT_ID.fullmatch(newer)):
            return False
        return self.git.run("merge-base", "--is-ancestor", older, newer)[0] == 0

    def changes(self, older: str, newer: str) -> list[Entry]:
        """Files that differ between two commits (ids), paths from the top, as the newer one has them; "000000": gone there."""
        return changes(self.git, older, newer)

    def brought_in(self, sha: str, since: str, paths: Iterable[str] = ()) -> Iterator[Commit]:
        """Commits that `sha` descends from and `since` doesn't, oldest first, and that change what is at `paths` (none: any).

        A merge does if it differs there from one of its parents.
        """
        found = text(self.git.must("rev-list", "--reverse", "--topo-order", f"{sha}^@", f"^{since}")).split()
        if found and (wanted := tuple(paths)):
            options = ("--stdin", "-m", "--root", "--no-renames", "--", *wanted)
            said = text(self.git.fed(found, "diff-tree", *options))
            changing = set(said.splitlines())
            found = [one for one in found if one in changing]
        return (read_commit(self.git, one) for one in found)

    def signature(self, commit: Commit) -> Signature:
        """Whose signature the commit carries, by git's own settings: the GPG keyring, or `gpg.ssh.allowedSignersFile`."""
        status, _, stderr = self.git.run("verify-commit", commit.sha)
        return read_signature(status, stderr)

    def ref_places(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Folders that change when a branch or HEAD moves, however refs are stored: by themselves, and with all below."""
        head, packed, refs, tables = map(self.git.absolute, ("HEAD", "packed-refs", "refs", "reftable"))
        return tuple({head.parent, packed.parent}), tuple(path for path in (refs, tables) if path.is_dir())

    @property
    def writable(self) -> bool:
        """Whether this process may write where git keeps its objects."""
        return os.access(self.git.absolute("objects"), os.W_OK)

    def config(self) -> dict[str, str]:
        """The `luasprocs.*` settings in git's configuration, without that prefix."""
        return git_config(self._start)

    def setting(self, name: str) -> tuple[str, str]:
        """Where a setting of git's is set (`local`, `global`, `system`, …; "" where it isn't), and its value."""
        scope, _, value = text(self.git.run("config", "--show-scope", "--get", name)[1]).partition("\t")
        return scope, value.removesuffix("\n")

    def configure(self, name: str, value: str) -> Path:
        """Sets one of this repository's own settings. Returns the file."""
        self.git.must("config", "--local", "--replace-all", name, value)
        return self.config_file

    def unset(self, name: str) -> bool:
        """Takes one of this repository's own settings away. Returns whether it was set."""
        return self.git.run("config", "--local", "--unset-all", name)[0] == 0

    @property
    def config_file(self) -> Path:
        return self.git.absolute("config")

    def hooks_folder(self) -> Path:
        """Where git looks for hooks: `core.hooksPath`, or its own folder."""
        return self.git.absolute("hooks")

    def own_hooks_folder(self) -> Path:
        """Its own, whatever `core.hooksPath` says."""
        return self.config_file.parent / "hooks"

    @property
    def object_format(self) -> str:
        """`sha1` or `sha256`."""
        return text(self.git.must("rev-parse", "--show-object-format")).strip()


def _stored_as(entry: Entry, stored: tuple[str, bytes] | None) -> Entry:
    return entry._replace(blob=stored[0], size=len(stored[1])) if stored else entry


def initialized(place: Path, name: str, object_format: str = "") -> Repository:
    """A bare repository at `place`, made if there is none. `name`: in messages; `object_format`: of a new one, "" for git's own.

    Raises:
        RepositoryError: git can't make one there.
    """
    options = (f"--object-format={object_format}",) if object_format else ()
    answer = run_git(place, "init", "--quiet", "--bare", *options, ".")
    if answer.returncode != 0:
        raise RepositoryError(f"git can't make a repository in {str(place)!r}: {complaint(answer.stderr)}")
    return Repository(place, place, bare=True, here=False, name=name)


def _discover(start: Path | None, where: Path, *questions: str) -> str:
    """Git's own answer to where the repository is, or the error that says what to do."""
    answer = run_git(start, "rev-parse", *questions)
    if answer.returncode == 0:
        return text(answer.stdout).removesuffix("\n")
    reason = answer.stderr.decode("utf-8", "replace")
    if "dubious ownership" in reason:
        raise RepositoryError(
            f"the repository of {str(where)!r} belongs to another user, and git won't read it: "
            f"if you trust it, git config --global --add safe.directory {shlex.quote(str(where))}"
        )
    if "not a git repository" in reason:
        raise RepositoryError(f"{str(where)!r} is in no git repository: git init there, or name one with --repo DIR")
    raise RepositoryError(f"git can't open {str(where)!r}: {complaint(reason)}")
