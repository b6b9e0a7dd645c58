"""Where a daemon's commits come from: a repository on this machine, its work tree, or a remote that it mirrors."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import threading
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from luasprocs.errors import RepositoryError
from sync.git.config import complaint, without_secrets
from sync.git.remote import Asking
from sync.git.repository import Repository, initialized
from sync.reconcile.desired import read_commit, read_worktree
from sync.repository_settings import SETTINGS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sync.reconcile.desired import Desired

FETCH_TIMEOUT_S = 120
_LOCK = "luasprocs.lock"
_SHA256_DIGITS = 64
_REMOTE = re.compile(r"(?P<scheme>https?|ssh|git|file)://|[\w.-]+@[\w.-]+:")
# A silent remote ends the fetch, and git never prompts for a password.
_PATIENCE = ("-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=20", "-c", "credential.interactive=never")
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
# After the host's own options, which win: ssh takes the first value.
_SSH_OPTIONS = ("-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=10")
_SSH_HINTS = {
    "Host key verification failed": "is its key in ~/.ssh/known_hosts of the user who runs this? ssh-keyscan HOST shows it",
    "Permission denied (": "is the public key of the user who runs this known there?",
}


class Watched(NamedTuple):
    """Folders to watch: the files `names` directly in `alone`, and everything below `whole`."""

    alone: tuple[Path, ...] = ()
    whole: tuple[Path, ...] = ()
    names: frozenset[str] = frozenset()


class Source(Protocol):
    """What a daemon follows. `remote`: whether it has to be fetched; `name`: for messages, without secrets.

    `new`: nothing was known here of this source before this process.
    """

    repository: Repository
    name: str
    remote: bool
    new: bool

    def refresh(self) -> None:
        """Fetches from the remote, if there is one. Raises RepositoryError."""

    def desired(self) -> Desired:
        """What is wanted now. Raises RepositoryError, SettingsError."""

    def watched(self) -> Watched:
        """The folders that change when the source does; none for a remote."""

    def publish(self, sha: str, before: str, branch: str) -> None:
        """Publishes a commit that was made here to the followed branch. Raises RepositoryError: it failed, and is undone."""

    def unfetched(self) -> AbstractContextManager[bool]:
        """No fetch begins inside. Its value is False if one is under way."""

    def give_up(self) -> None:
        """Interrupts a fetch or push of another thread, which raises RepositoryError."""

    @property
    def writable(self) -> bool:
        """Whether commits can be made here, as far as can be told."""


class Checkout:
    """A repository on this machine, checked out or bare. `branch` None: what HEAD is; `worktree`: the files on disk."""

    remote, new = False, False

    def __init__(self, repository: Repository, branch: str | None = None, *, worktree: bool = False) -> None:
        self.repository = repository
        self.name = str(repository.path)
        self._branch, self._worktree = branch, worktree
        self._folder: str | None = None
        self._last: Desired | None = None

    def refresh(self) -> None:
        """There is no remote."""

    def desired(self) -> Desired:
        """The sprocs of the branch's commit, or of the files."""
        if self._worktree:
            # What the first look does not see is not wanted.
            found = read_worktree(self.repository, wait=self._folder is None)
            self._folder = found.folder
            return found
        branch = f"refs/heads/{self._branch}" if self._branch else None
        self._last = read_commit(self.repository, branch, self._last)
        return self._last

    def publish(self, sha: str, before: str, branch: str) -> None:
        """The commit is there already."""

    def unfetched(self) -> AbstractContextManager[bool]:
        """There is no remote to fetch."""
        return contextlib.nullcontext(True)

    def give_up(self) -> None:
        """There is no remote to wait for."""

    @property
    def writable(self) -> bool:
        """Whether git's folder is writable; files on disk are never committed."""
        return not self._worktree and self.repository.writable

    def watched(self) -> Watched:
        """The folder of sprocs, or git's folders of refs."""
        if not self._worktree:
            return Watched(*self.repository.ref_places(), frozenset({"HEAD", "packed-refs"}))
        top, below = self.repository.path, self._folder or ""
        folder = top / below
        names = frozenset({SETTINGS_FILE, below.partition("/")[0]})
        return Watched((top,), (folder,) if folder.is_dir() else (), names)


class Mirror:
    """A remote, mirrored in a bare repository below `folder`.

    `revision`: a branch, a tag or a commit; None: the remote's HEAD.

    Raises:
        RepositoryError: another daemon uses this mirror, or it can't be made.
    """

    remote = True

    def __init__(self, url: str, folder: Path, revision: str | None = None) -> None:
        self.name = without_secrets(url)
        self._last: Desired | None = None
        self._url, self._revision, self._fetched = url, revision, False
        place = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        try:
            place.mkdir(parents=True, exist_ok=True)
            self._lock = (place / _LOCK).open("w")
        except OSError as error:
            raise RepositoryError(f"the mirror {str(place)!r} can't be made: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RepositoryError(
                f"the mirror {str(place)!r} is in use by another daemon: name another one, --mirror DIR"
            ) from error
        # Nobody else writes here: lock files are leftovers of a killed git.
        for lock in (*place.glob("*.lock"), *place.glob("refs/**/*.lock")):
            if lock.name != _LOCK:
                lock.unlink(missing_ok=True)
        self.repository = initialized(place, self.name)
        self._asking, self._one_at_a_time = Asking(), threading.Lock()
        self._ssh = self._ssh_command()
        self.new = not self._run("for-each-ref", "--count=1")[1]

    def refresh(self) -> None:
        """Fetches branches, tags, and the name of the HEAD branch."""
        with self._one_at_a_time:
            self._fetch()

    def _fetch(self) -> None:
        if self.new and not self._fetched:
            self._adopt_object_format()
        refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        options = ("--prune", "--no-tags", "--no-write-fetch-head", "--force", "--update-head-ok")
        self._git(*_PATIENCE, "fetch", "--quiet", *options, "origin", *refs)
        if self._revision is None:
            answer = self._git(*_PATIENCE, "ls-remote", "--symref", "origin", "HEAD")
            if found := re.match(r"ref: (refs/heads/\S+)\tHEAD", answer):
                self._git("symbolic-ref", "HEAD", found[1])

        self._fetched = True

    def _adopt_object_format(self) -> None:
        """A mirror in which nothing was ever fetched becomes one of SHA-256 ids if the remote has these."""
        listed = self._git(*_PATIENCE, "ls-remote", "origin")
        wanted = "sha256" if len(listed.partition("\t")[0]) == _SHA256_DIGITS else "sha1"
        if not listed or wanted == self.repository.object_format:
            return
        place = self.repository.path
        for made in place.iterdir():
            if made.name != _LOCK:
                shutil.rmtree(made) if made.is_dir() else made.unlink()
        self.repository = initialized(place, self.name, wanted)

    def desired(self) -> Desired:
        """The sprocs of the revision's current commit."""
        self._last = read_commit(self.repository, self._revision, self._last)
        return self._last

    def publish(self, sha: str, before: str, branch: str) -> None:
        """Pushes. If the remote has moved on, the commit is undone here and made again on top of the new one."""
        try:
            self._git(*_PATIENCE, "push", "--quiet", "origin", f"{sha}:refs/heads/{branch}")
        except RepositoryError:
            self._run("update-ref", f"refs/heads/{branch}", before, sha)
            raise

    @contextlib.contextmanager
    def unfetched(self) -> Iterator[bool]:
        """What a fetch has read before a push would undo it here."""
        alone = self._one_at_a_time.acquire(blocking=False)
        try:
            yield alone
        finally:
            if alone:
                self._one_at_a_time.release()

    def give_up(self) -> None:
        """Kills the git process that waits for the remote."""
        self._asking.give_up()

    @property
    def writable(self) -> bool:
        """Only a push can tell."""
        return True

    def watched(self) -> Watched:
        """Nothing: the remote is fetched periodically."""
        return Watched()

    def _git(self, *arguments: str) -> str:
        environment = {**_UNATTENDED, **self._ssh, **with_setting(os.environ, "remote.origin.url", self._url)}
        try:
            status, output, said = self._run(*arguments, environment=environment)
        except RepositoryError as error:
            status, output, said = -1, b"", str(error)
        if status == 0:
            return output.decode("utf-8", "replace")
        what = "pushed to" if "push" in arguments else "fetched"
        raise RepositoryError(f"{self.name} can't be {what}: {_of_remote(said)}")

    def _run(self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> tuple[int, bytes, str]:
        environ = {**self.repository.git.environ(), **environment}
        return self._asking.run(*arguments, folder=self.repository.path, environ=environ, timeout_s=FETCH_TIMEOUT_S)

    def _ssh_command(self) -> dict[str, str]:
        """The variable that makes git's ssh command non-interactive; empty if GIT_SSH names another program."""
        _, output, _ = self._run("config", "core.sshCommand")
        given = os.environ.get("GIT_SSH_COMMAND") or output.decode("utf-8", "surrogateescape").strip()
        if not given and os.environ.get("GIT_SSH"):
            return {}
        return {"GIT_SSH_COMMAND": unattended(given or "ssh")}


def with_setting(environ: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Environment variables that add a git setting to those of `environ`.

    Every user of the machine can read a command line, so secrets are passed this way.
    """
    given = environ.get("GIT_CONFIG_COUNT", "")
    count = int(given) if given.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": name,
        f"GIT_CONFIG_VALUE_{count}": value,
    }


def unattended(command: str) -> str:
    """An ssh command that never prompts and never waits for ever; other programs than OpenSSH's stay as they are."""
    try:
        program = Path(shlex.split(command)[0]).name
    except (ValueError, IndexError):
        return command
    return " ".join((command, *_SSH_OPTIONS)) if program == "ssh" else command


def _of_remote(stderr: str) -> str:
    """The errors of git and ssh without ssh's banner lines, and a hint."""
    said = complaint("\n".join(line for line in stderr.splitlines() if line.strip("@ ")))
    return said + "".join(f" ({hint})" for words, hint in _SSH_HINTS.items() if words in said)


def is_remote(place: str) -> bool:
    """Whether it names a remote rather than a folder: a URL, or `user@host:path`."""
    return bool(_REMOTE.match(place))
