"""The one module that knows GitPython: a repository's commits, trees and blobs as frozen values.

Git's own commands decide what a name means; GitPython runs them (`git.Git`). Its object classes aren't used:
they read neither SHA-256 repositories nor reftables, and blob by blob cost ten times one `cat-file --batch`.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import NoFolderError, RepositoryError
from luasprocs.language.values import shown
from sync.git.cleaned import Cleaned
from sync.git.config import complaint, git_config, pinned, run_git
from sync.git.entries import SYMLINK, Entry, below, read_batch, read_staged, read_tree_entry, records, text
from sync.git.signature import Signature, read_signature
from sync.git.worktree import OnDisk, Saved, when_settled

# Without git on PATH the import itself would raise; told to be quiet, the first command says it in our words.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
import git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH = re.compile(r"refs/heads/(?!.*\.\.)[\w./-]+", re.ASCII)
_END_OF_NAME = re.compile(r"[~^:]|@\{")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_SECONDS = re.compile(r"[0-9]{1,18}")
_BLOBS = {"100644", "100755", SYMLINK}
# Plumbing, so that no log.* setting of the user (signatures, colours) changes what is read.
_READ_COMMIT = ("rev-list", "--max-count=1", "--encoding=UTF-8", "--format=%an <%ae>%x00%ct%x00%s")
_NAME_LIMIT = 1000
"""Characters of a revision; git's own limit is what a command line holds."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `sha`: 40 or 64 hex digits; `author`: `Name <mail>`; `time`: of committing, unix seconds, 0 if it has none.

    In texts U+FFFD stands for bytes that are no UTF-8.
    """

    sha: str
    author: str
    subject: str
    time: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Which repository this is: its smallest root commit. `shallow`: history is cut off, `id` is its end."""

    id: str
    shallow: bool


class Repository:
    """A git repository, opened by `Repository.open`. Every method may raise RepositoryError.

    `path`: the top of the work tree, of a bare repository its own folder. `git_folder`: where git keeps it. `bare`: there is no
    work tree. `name`: in messages, if that isn't `path`.
    """

    def __init__(self, path: Path, git_folder: Path, *, bare: bool, here: bool, name: str = "") -> None:
        self.path = path
        self._name = name or str(path)
        self.git_folder = git_folder
        self.bare = bare
        self._start = None if here else path
        self._git = git.Git(str(path))
        self._identity: tuple[str, Identity] | None = None
        self._saved: Saved | None = None
        self._cleaned: Cleaned | None = None
        # GitPython adds to the environment and can't take away: what a hook left there is overridden.
        self._git.update_environment(**pinned(path, git_folder, os.environ, bare=bare, here=here))

    @classmethod
    def open(cls, folder: Path | str | None = None) -> Repository:
        """The repository that `folder` lies in; None: where git's variables say (in a hook), else this one.

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
                return cls(home.parent, home, bare=False, here=here)
            return cls(home, home, bare=True, here=here)
        top = Path(_discover(start, where, "--show-toplevel"))
        inner = str(top) == git_folder and top.name == ".git"
        return cls(top.parent if inner else top, Path(git_folder), bare=False, here=here)

    def again(self) -> Repository:
        """The same one, as the environment is now: a push that was in quarantine is in it."""
        same = Repository(self.path, self.git_folder, bare=self.bare, here=self._start is None, name=self._name)
        same._identity = self._identity
        return same

    @property
    def branch(self) -> str | None:
        """The branch that HEAD stands on, with or without a commit; None when it is detached."""
        status, output, _ = self._run("symbolic-ref", "--quiet", "HEAD")
        return text(output).rstrip("\n").removeprefix("refs/heads/") if status == 0 else None

    def resolve(self, revision: str | None = None) -> Commit:
        """The commit that `revision` names to git: branch, tag, full ref, hex digits, `HEAD~2`; None is HEAD.

        Raises:
            RepositoryError: there is no such commit, none at all yet, or the name is two things.
        """
        name = "HEAD" if revision is None else revision
        if not name or name.startswith("-") or _UNSAFE.search(name) or len(name) > _NAME_LIMIT:
            raise RepositoryError(f"{shown(name)} can't be a revision: name a commit, a branch or a tag")
        # HEAD and a whole object id mean one thing only, even if somebody made a branch of that name.
        warn = "false" if name == "HEAD" or _OBJECT_ID.fullmatch(name) else "true"
        options, wanted = ("-c", f"core.warnAmbiguousRefs={warn}"), f"{name}^{{commit}}"
        if warn == "false" or _BRANCH.fullmatch(name):  # no expression, which may name several commits
            status, output, stderr = self._run(*options, *_READ_COMMIT, wanted, "--")
            if status == 0 and " is ambiguous" not in stderr:
                return _commit_of(output)
        status, output, stderr = self._run(*options, "rev-parse", "--verify", wanted)
        if " is ambiguous" in stderr:
            raise RepositoryError(self._ambiguous(name))
        if status != 0:
            raise RepositoryError(self._unknown(name))
        sha = text(output).strip()
        if not _OBJECT_ID.fullmatch(sha):  # `^HEAD`: all but these
            raise RepositoryError(f"{shown(name)} is not a single commit: name a commit, a branch or a tag")
        return self._commit(sha)

    def branch_named(self, revision: str) -> str | None:
        """The branch that a revision is the name of, short or as `refs/heads/…`."""
        if _OBJECT_ID.fullmatch(revision):
            return None
        ref = f"refs/heads/{revision.removeprefix('refs/heads/')}"
        return ref[11:] if self._run("show-ref", "--verify", "--quiet", ref)[0] == 0 else None

    def tree(self, commit: Commit, folder: str) -> list[Entry]:
        """All files of the commit below `folder`, their paths relative to it; "" is the whole tree.

        Raises:
            NoFolderError: there is none. RepositoryError: a file, a symlink or a submodule stands in its place.
        """
        status, output, stderr = self._run("ls-tree", "-r", "-z", "-l", "--full-tree", f"{commit.sha}:{folder}")
        if status != 0:
            raise self._no_folder(commit, folder, complaint(stderr))
        return [read_tree_entry(line) for line in records(output)]

    def _no_folder(self, commit: Commit, folder: str, said: str) -> RepositoryError:
        """Why a folder can't be listed. Objects that are missing must never look like a folder that somebody deleted."""
        status, above, _ = (
            self._run("ls-tree", "-z", "--full-tree", commit.sha, "--", folder) if folder else (1, b"", "")
        )
        if status != 0 or above.startswith(b"040000 "):
            return RepositoryError(
                f"git can't list {commit.sha[:12]} of {self._shown}: {said}: git fsck tells more, git fetch may bring it"
            )
        kind = RepositoryError if above else NoFolderError
        return kind(
            f"commit {commit.sha[:12]} of {self._shown} has no folder {folder!r}: commit sprocs there, "
            'or name their folder in luasprocs.toml (folder = "…")'
        )

    def index(self, folder: str) -> list[Entry]:
        """All staged files below `folder`, their paths relative to it; none where there is no such folder."""
        arguments = ("ls-files", "-s", "-z", "--full-name", "--", folder or ".")
        found = dict(map(read_staged, records(self._must(*arguments))))
        sizes = self._sizes(blob for mode, blob in found.values() if mode in _BLOBS)
        return [
            Entry(below(path, folder), mode, blob, sizes.get(blob))
            for path, (mode, blob) in found.items()
            if not folder or path != folder  # a file or a submodule where the folder should be
        ]

    def worktree(self, folder: str, suffix: str, limit_bytes: int, *, wait: bool = True) -> OnDisk:
        """All files on disk below `folder` that git doesn't ignore, and their bytes by blob id: as `git add` would store them.

        Only names ending in `suffix` are read, up to `limit_bytes`; the blob of others is "". A file that is being written is
        waited for, or else here as it was in the last look.
        """
        if self.bare:
            raise RepositoryError(f"{self._shown} is a bare repository and has no work tree: leave out --worktree")
        top = self.path / folder
        if top.is_symlink() or not top.is_dir():
            raise RepositoryError(
                f"there is no folder {folder!r} in {self._shown}: make it, or name the right one "
                'in luasprocs.toml (folder = "…")'
            )
        saved = self._saved = self._saved or Saved(self.object_format)
        arguments = ("ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard")

        def look() -> OnDisk:
            found = {below(path, folder) for path in records(self._must(*arguments, "--", folder or "."))}
            return saved.read(top, found, suffix, limit_bytes)

        seen = when_settled(look) if wait else look()
        prefix = f"{folder}/" if folder else ""
        stored = self._clean({prefix + one.path: seen.sources[one.blob] for one in seen.entries if one.blob})
        if not stored:
            return seen
        entries = [_stored_as(one, stored.get(prefix + one.path)) for one in seen.entries]
        return OnDisk(entries, seen.sources | dict(stored.values()), seen.moving)

    def _clean(self, sources: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        """Blob and bytes of those files, by path from the top, that git would not store as they are on disk."""
        if self._cleaned is None:
            index, objects = (self._absolute(place).absolute() for place in ("index", "objects"))
            self._cleaned = Cleaned(self._must, self.path, index, objects)
        return self._cleaned.of(sources)

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """The contents of blobs by their ids, all through one process."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        return dict(read_batch(self._ask("--batch", wanted), self._shown))

    def file(self, revision: str, path: str, limit_bytes: int) -> bytes | None:
        """One file of a commit (its sha; "" is the index), or None where there is none.

        Raises:
            RepositoryError: it is over `limit_bytes`.
        """
        found = self._entry(revision, path)
        if found is None:
            return None
        if found.size is None:
            raise RepositoryError(f"{path} is missing in {self._shown}: git fsck tells more, git fetch may bring it")
        if found.size > limit_bytes:
            raise RepositoryError(f"{path} in {self._shown} has {found.size} bytes: at most {limit_bytes} are read")
        return self.blobs([found.blob])[found.blob]

    def _entry(self, revision: str, path: str) -> Entry | None:
        """A file of a commit ("": of the index), or None where there is none."""
        if revision:
            status, output, _ = self._run("ls-tree", "-z", "-l", "--full-tree", revision, "--", path)
            entries = [read_tree_entry(line) for line in records(output)] if status == 0 else []
        else:
            staged = [read_staged(line) for line in records(self._must("ls-files", "-s", "-z", "--", path))]
            sizes = self._sizes(blob for _, (_, blob) in staged)
            entries = [Entry(name, mode, blob, sizes.get(blob)) for name, (mode, blob) in staged]
        return next((one for one in entries if one.path == path and one.mode in _BLOBS), None)

    def identity(self, first: Commit | None = None) -> Identity:
        """Which repository this is, seen from HEAD; from `first` where HEAD has no commit yet (a first push is judged)."""
        try:
            sha = self.resolve().sha
        except RepositoryError:
            if first is None or not self.knows(first.sha):
                raise
            sha = first.sha
        # Long histories take long to walk: seen from a later commit only what is new since is walked.
        status, output = 1, b""
        if self._identity is not None:
            status, output, _ = self._run("rev-list", "--max-parents=0", sha, f"^{self._identity[0]}")
        if self._identity is not None and status == 0:
            last = self._identity[1]
            self._identity = sha, Identity(min((last.id, *text(output).split())), last.shallow)
        else:  # the first look, or history was rewritten, and the old one collected
            roots = text(self._must("rev-list", "--max-parents=0", sha)).split()
            shallow = text(self._must("rev-parse", "--is-shallow-repository")).strip() == "true"
            self._identity = sha, Identity(min(roots), shallow)
        return self._identity[1]

    def knows(self, sha: str) -> bool:
        """Whether this repository has the commit, in whatever history."""
        return bool(_OBJECT_ID.fullmatch(sha)) and self._run("cat-file", "-e", f"{sha}^{{commit}}")[0] == 0

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether commit `newer` descends from (or is) commit `older`, as far as this clone can tell."""
        if not (_OBJECT_ID.fullmatch(older) and _OBJECT_ID.fullmatch(newer)):
            return False
        return self._run("merge-base", "--is-ancestor", older, newer)[0] == 0

    def changes(self, older: str, newer: str) -> list[Entry]:
        """Files that differ between two commits (ids), paths from the top, as the newer one has them; "000000": gone there."""
        parts = records(self._must("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", older, newer))
        found = []
        for about, path in zip(parts[::2], parts[1::2], strict=True):
            _, mode, _, blob, _ = about.split()
            found.append(Entry(path, mode, blob, None))
        sizes = self._sizes(one.blob for one in found if one.mode in _BLOBS)
        return [Entry(one.path, one.mode, one.blob, sizes.get(one.blob)) for one in found]

    def brought_in(self, sha: str, since: str, paths: Iterable[str] = ()) -> Iterator[Commit]:
        """Commits that `sha` descends from and `since` doesn't, oldest first, and that change what is at `paths` (none: any).

        A merge does if it differs there from one of its parents.
        """
        found = text(self._must("rev-list", "--reverse", "--topo-order", f"{sha}^@", f"^{since}")).split()
        if found and (wanted := tuple(paths)):
            options = ("--stdin", "-m", "--root", "--no-renames")
            with tempfile.TemporaryFile() as questions:
                questions.write("".join(f"{one}\n" for one in found).encode())
                questions.seek(0)
                said = text(self._must("diff-tree", *options, "--", *wanted, stdin=questions))
            changing = set(said.splitlines())
            found = [one for one in found if one in changing]
        return map(self._commit, found)

    def signature(self, commit: Commit) -> Signature:
        """Whose signature the commit carries, by git's own settings: the GPG keyring, or `gpg.ssh.allowedSignersFile`."""
        status, _, stderr = self._run("verify-commit", commit.sha)
        return read_signature(status, stderr)

    def ref_places(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Folders that change when a branch or HEAD moves, however refs are stored: by themselves, and with all below."""
        head, packed, refs, tables = (self._absolute(place) for place in ("HEAD", "packed-refs", "refs", "reftable"))
        return tuple({head.parent, packed.parent}), tuple(path for path in (refs, tables) if path.is_dir())

    def environ(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **self._git.environment()}

    def _absolute(self, place: str) -> Path:
        return self.path / text(self._must("rev-parse", "--git-path", place)).rstrip("\n")

    @property
    def writable(self) -> bool:
        """Whether this process may write where git keeps its objects."""
        return os.access(self._absolute("objects"), os.W_OK)

    def why_dirty(self, branch: str, path: str, wanted: bytes) -> str:
        """Why a file of a checked-out branch must not be replaced by `wanted`, or "": it has changes that nobody committed."""
        if self.bare or self.branch != branch:
            return ""
        if self._absolute("index.lock").exists():
            return "git's index is locked: another git is at work, or remove a stale index.lock"
        file = self.path / path
        try:
            here = file.read_bytes() if file.is_file() and not file.is_symlink() else None
        except OSError as error:
            return f"{path} can't be read: {error.strerror}"
        if here is not None and path in (stored := self._clean({path: here})):
            here = stored[path][1]
        staged = text(self._must("ls-files", "-s", "--", path)).splitlines()
        blob = (
            staged[0].split()[1] if len(staged) == 1 else ""
        )  # `mode blob stage`, a tab, and a name that may have blanks
        committed = self.file("HEAD", path, len(wanted) + (1 << 24))
        of_index = self.blobs([blob])[blob] if blob else None
        if here in {committed, wanted} and of_index in {committed, wanted}:
            return ""
        return f"{path} has changes that are not committed: commit or discard them"

    def commit_files(
        self, branch: str, parent: str, files: Mapping[str, bytes], message: str, author: str, *, sign: bool
    ) -> str:
        """A commit on a branch whose tip is `parent`, with these files. Of a checked-out one file, index and HEAD move along.

        Steps that are killed in between leave nothing that a later call does not finish. Returns the commit's id.

        Raises:
            RepositoryError: the branch has moved, the commit can't be signed, or git refuses.
        """
        checked_out = not self.bare and self.branch == branch
        name, _, mail = author.partition(" <")
        people = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail.rstrip(">")}
        people |= {"GIT_COMMITTER_NAME": "luasprocs", "GIT_COMMITTER_EMAIL": "luasprocs@localhost"}
        with tempfile.TemporaryDirectory() as folder:
            apart = {**people, "GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._must("read-tree", parent, environment=apart)
            blobs = {}
            for path, content in files.items():
                mode = text(self._must("ls-tree", parent, "--", path)).partition(" ")[0] or "100644"
                blobs[path] = (mode, self._stored(content))
                self._must("update-index", "--add", "--cacheinfo", f"{mode},{blobs[path][1]},{path}", environment=apart)
            tree = text(self._must("write-tree", environment=apart)).strip()
            options = ("-S",) if sign else ("--no-gpg-sign",)
            made = self._must("commit-tree", *options, "-p", parent, "-m", message, tree, environment=people)
            sha = text(made).strip()
        if checked_out:
            for path, (mode, blob) in blobs.items():
                on_disk = self._must(
                    "cat-file", "--filters", f"--path={path}", blob
                )  # with the line ends that are wanted here
                _replace(self.path / path, on_disk)
                self._must("update-index", "--cacheinfo", f"{mode},{blob},{path}")
        self._must("update-ref", "-m", "luasprocs: live edit", f"refs/heads/{branch}", sha, parent)
        if checked_out:
            self._run("update-index", "-q", "--refresh")
        return sha

    def _stored(self, content: bytes) -> str:
        """The id of a blob that is now in the repository."""
        with tempfile.TemporaryFile() as source:
            source.write(content)
            source.seek(0)
            return text(self._must("hash-object", "-w", "--stdin", stdin=source)).strip()

    def config(self) -> dict[str, str]:
        """The `luasprocs.*` settings in git's configuration, without that prefix."""
        return git_config(self._start)

    def config_scope(self, name: str) -> str:
        """Where a setting of git's is set: `local`, `global`, `system`, …; "" where it isn't."""
        status, output, _ = self._run("config", "--show-scope", "--get", name)
        return text(output).partition("\t")[0] if status == 0 else ""

    def configure(self, name: str, value: str) -> Path:
        """Sets one of this repository's own settings. Returns the file."""
        self._must("config", "--local", "--replace-all", name, value)
        return self.config_file

    def unset(self, name: str) -> bool:
        """Takes one of this repository's own settings away. Returns whether it was set."""
        return self._run("config", "--local", "--unset-all", name)[0] == 0

    @property
    def config_file(self) -> Path:
        return self._absolute("config")

    def hooks_folder(self) -> Path:
        """Where git looks for hooks: `core.hooksPath`, or its own folder."""
        return self._absolute("hooks")

    def own_hooks_folder(self) -> Path:
        """Its own, whatever `core.hooksPath` says."""
        return self.config_file.parent / "hooks"

    @property
    def _shown(self) -> str:
        return repr(self._name)

    @property
    def object_format(self) -> str:
        """`sha1` or `sha256`."""
        return text(self._must("rev-parse", "--show-object-format")).strip()

    def _commit(self, sha: str) -> Commit:
        return _commit_of(self._must(*_READ_COMMIT, sha))

    def _ambiguous(self, name: str) -> str:
        short = _END_OF_NAME.split(name)[0]
        listed = self._must("for-each-ref", "--format=%(refname)")
        ends = tuple(f"{place}{short}" for place in ("refs/", "refs/heads/", "refs/tags/", "refs/remotes/"))
        refs = [ref for ref in text(listed).split("\n") if ref in ends]
        if len(refs) > 1:
            return f"{short!r} is several things in {self._shown}: write {' or '.join(refs)}"
        return f"{short!r} could be several commits in {self._shown}: write more of its digits, or a full ref"

    def _unknown(self, name: str) -> str:
        if name == "HEAD":
            return f"{self._shown} has no commit yet on {self.branch or 'HEAD'}: git add and git commit first"
        shallow = text(self._must("rev-parse", "--is-shallow-repository")).strip() == "true"
        fetch = "git fetch --unshallow (this clone is shallow)" if shallow else "git fetch, if it is elsewhere"
        return f"{self._shown} has no commit {name!r}: see git branch --all and git tag, or {fetch}"

    def _sizes(self, ids: Iterable[str]) -> dict[str, int]:
        wanted = sorted(set(ids))
        lines = text(self._ask("--batch-check", wanted)).splitlines() if wanted else []
        return {words[0]: int(words[2]) for words in map(str.split, lines) if len(words) == 3}

    def _ask(self, mode: str, wanted: list[str]) -> bytes:
        """One cat-file for many objects; asked from a file: two full pipes would wait for each other."""
        with tempfile.TemporaryFile() as questions:
            questions.write("".join(f"{one}\n" for one in wanted).encode())
            questions.seek(0)
            return self._must("cat-file", mode, stdin=questions)

    def _must(
        self, *arguments: str, stdin: BinaryIO | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes:
        status, output, stderr = self._run(*arguments, stdin=stdin, environment=environment)
        if status != 0:
            raise RepositoryError(f"git {arguments[0]} failed in {self._shown}: {complaint(stderr)}")
        return output

    def _run(
        self,
        *arguments: str,
        stdin: BinaryIO | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes, str]:
        try:
            status, output, stderr = self._git.execute(
                ["git", *arguments],
                istream=stdin,
                env=environment,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
        except git.GitCommandNotFound as error:
            raise RepositoryError("git is not on PATH: install git, or put its folder into PATH") from error
        return status, output, stderr


def _commit_of(output: bytes) -> Commit:
    """What `_READ_COMMIT` has printed."""
    first, _, rest = output.decode("utf-8", "replace").partition("\n")
    author, _, rest = rest.removesuffix("\n").partition("\0")
    time, _, subject = rest.partition("\0")
    return Commit(first.removeprefix("commit "), author, subject, int(time) if _SECONDS.fullmatch(time) else 0)


def _stored_as(entry: Entry, stored: tuple[str, bytes] | None) -> Entry:
    return replace(entry, blob=stored[0], size=len(stored[1])) if stored else entry


def _replace(path: Path, content: bytes) -> None:
    """A file's content, in one step, its rights kept."""
    written = path.with_name(f".{path.name}.luasprocs")
    try:
        written.write_bytes(content)
        if path.exists():
            written.chmod(path.stat().st_mode)
        written.replace(path)
    except OSError as error:
        raise RepositoryError(f"{str(path)!r} can't be written: {error.strerror}") from error


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
