"""Where a daemon's commits come from: a repository on this machine, its work tree, or a remote that it mirrors."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from luasprocs.errors import RepositoryError
from sync.git.config import complaint
from sync.git.remote import Asking
from sync.git.repository import Repository, initialized
from sync.reconcile.desired import read_commit, read_worktree
from sync.settings import SETTINGS_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sync.reconcile.desired import Desired

FETCH_TIMEOUT_S = 120
_REMOTE = re.compile(r"(?P<scheme>https?|ssh|git|file)://|[\w.-]+@[\w.-]+:")
_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# So that a remote that says nothing ends the fetch, and nobody is asked for a password.
_PATIENCE = ("-c", "http.lowSpeedLimit=100", "-c", "http.lowSpeedTime=20", "-c", "credential.interactive=never")
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
# Behind options of the host's own, which win: ssh takes what comes first.
_SSH_OPTIONS = ("-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=10")
_SSH_HINTS = {
    "Host key verification failed": "is its key in ~/.ssh/known_hosts of the user who runs this? ssh-keyscan HOST shows it",
    "Permission denied (": "is the public key of the user who runs this known there?",
}


class Watched(NamedTuple):
    """Folders: of `alone` the files that are `names`, of `whole` all that is below."""

    alone: tuple[Path, ...] = ()
    whole: tuple[Path, ...] = ()
    names: frozenset[str] = frozenset()


class Source(Protocol):
    """What a daemon follows. `remote`: whether it must be fetched; `name`: as messages show it, without secrets."""

    repository: Repository
    name: str
    remote: bool

    def refresh(self) -> None:
        """Asks the remote, if there is one. Raises RepositoryError."""

    def desired(self) -> Desired:
        """What is wanted now. Raises RepositoryError, SettingsError."""

    def watched(self) -> Watched:
        """Folders that change when it does; none for a remote."""

    def publish(self, sha: str, before: str, branch: str) -> None:
        """Takes a commit that was made here to where it is followed. Raises RepositoryError: that failed, and it is undone."""

    def give_up(self) -> None:
        """What another thread waits for is not worth it any more: its call raises RepositoryError."""

    @property
    def writable(self) -> bool:
        """Whether commits can be made here, as far as can be told."""


class Checkout:
    """A repository on this machine, checked out or bare. `branch` None: what HEAD is; `worktree`: the files on disk."""

    remote = False

    def __init__(self, repository: Repository, branch: str | None = None, *, worktree: bool = False) -> None:
        self.repository = repository
        self.name = str(repository.path)
        self._branch, self._worktree = branch, worktree
        self._folder: str | None = None
        self._last: Desired | None = None

    def refresh(self) -> None:
        """Nothing to ask."""

    def desired(self) -> Desired:
        """Of the branch's commit, or of the files."""
        if self._worktree:
            # What the first look does not see is not wanted.
            found = read_worktree(self.repository, wait=self._folder is None)
            self._folder = found.folder
            return found
        branch = f"refs/heads/{self._branch}" if self._branch else None
        self._last = read_commit(self.repository, branch, self._last)
        return self._last

    def publish(self, sha: str, before: str, branch: str) -> None:
        """It is there."""

    def give_up(self) -> None:
        """Nobody is waited for."""

    @property
    def writable(self) -> bool:
        """By the rights of git's folder; saved files are their editor's business."""
        return not self._worktree and self.repository.writable

    def watched(self) -> Watched:
        """Where sprocs are saved, or where git keeps its refs."""
        if not self._worktree:
            return Watched(*self.repository.ref_places(), frozenset({"HEAD", "packed-refs"}))
        top, below = self.repository.path, self._folder or ""
        folder = top / below
        names = frozenset({SETTINGS_FILE, below.partition("/")[0]})
        return Watched((top,), (folder,) if folder.is_dir() else (), names)


class Mirror:
    """A remote, fetched into a bare repository of its own below `folder`.

    `revision`: a branch, a tag or a commit; None: the remote's HEAD.

    Raises:
        RepositoryError: another daemon uses this mirror, or it can't be made.
    """

    remote = True

    def __init__(self, url: str, folder: Path, revision: str | None = None) -> None:
        self.name = shown(url)
        self._last: Desired | None = None
        self._url, self._revision = url, revision
        place = folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        place.mkdir(parents=True, exist_ok=True)
        self._lock = (place / "luasprocs.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RepositoryError(
                f"the mirror {str(place)!r} is in use by another daemon: name another one, --mirror DIR"
            ) from error
        # Nobody else writes here, so what a killed git left locked is nobody's.
        for lock in (*place.glob("*.lock"), *place.glob("refs/**/*.lock")):
            if lock.name != "luasprocs.lock":
                lock.unlink(missing_ok=True)
        self.repository = initialized(place)
        self._asking = Asking()
        self._ssh = self._ssh_command()

    def refresh(self) -> None:
        """Fetches branches and tags, and which branch is its HEAD."""
        refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        options = ("--prune", "--no-tags", "--no-write-fetch-head", "--force", "--update-head-ok")
        self._git(*_PATIENCE, "fetch", "--quiet", *options, "origin", *refs)
        if self._revision is None:
            answer = self._git(*_PATIENCE, "ls-remote", "--symref", "origin", "HEAD")
            if found := re.match(r"ref: (refs/heads/\S+)\tHEAD", answer):
                self._git("symbolic-ref", "HEAD", found[1])

    def desired(self) -> Desired:
        """Of the commit that the revision is now."""
        self._last = read_commit(self.repository, self._revision, self._last)
        return self._last

    def publish(self, sha: str, before: str, branch: str) -> None:
        """Pushes. What is refused since the remote has moved on is undone here, and comes again on top of that."""
        try:
            self._git(*_PATIENCE, "push", "--quiet", "origin", f"{sha}:refs/heads/{branch}")
        except RepositoryError:
            self._run("update-ref", f"refs/heads/{branch}", before, sha)
            raise

    def give_up(self) -> None:
        """Ends the git that waits for the remote."""
        self._asking.give_up()

    @property
    def writable(self) -> bool:
        """Pushing tells."""
        return True

    def watched(self) -> Watched:
        """Nothing: it is asked now and then."""
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
        raise RepositoryError(f"{self.name} can't be {what}: {_of_remote(_SECRET.sub('…', said))}")

    def _run(self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> tuple[int, bytes, str]:
        environ = {**self.repository.environ(), **environment}
        return self._asking.run(*arguments, folder=self.repository.path, environ=environ, timeout_s=FETCH_TIMEOUT_S)

    def _ssh_command(self) -> dict[str, str]:
        """What git is told to run: the command that it would take, made to ask nobody. None: another program, GIT_SSH."""
        _, output, _ = self._run("config", "core.sshCommand")
        given = os.environ.get("GIT_SSH_COMMAND") or output.decode("utf-8", "surrogateescape").strip()
        if not given and os.environ.get("GIT_SSH"):
            return {}
        return {"GIT_SSH_COMMAND": unattended(given or "ssh")}


def with_setting(environ: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Variables that give git a setting beside those that `environ` gives it.

    What is in a command line, every user of the machine can read.
    """
    given = environ.get("GIT_CONFIG_COUNT", "")
    count = int(given) if given.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": name,
        f"GIT_CONFIG_VALUE_{count}": value,
    }


def unattended(command: str) -> str:
    """An ssh command that asks nobody and doesn't wait for ever; what isn't OpenSSH's is left as it is."""
    try:
        program = Path(shlex.split(command)[0]).name
    except (ValueError, IndexError):
        return command
    return " ".join((command, *_SSH_OPTIONS)) if program == "ssh" else command


def _of_remote(stderr: str) -> str:
    """What git and ssh complained of, without ssh's frames, and what to look at."""
    said = complaint("\n".join(line for line in stderr.splitlines() if line.strip("@ ")))
    return said + "".join(f" ({hint})" for words, hint in _SSH_HINTS.items() if words in said)


def is_remote(place: str) -> bool:
    """Whether it names a remote rather than a folder: a URL, or `user@host:path`."""
    return bool(_REMOTE.match(place))


def shown(url: str) -> str:
    """A remote's URL without its secrets."""
    return _SECRET.sub("…", url)
