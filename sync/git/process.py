"""The one module that knows GitPython: git's commands in one repository, their output as bytes.

Git's own commands decide what a name means; GitPython runs them (`git.Git`). Its object classes aren't used:
they read neither SHA-256 repositories nor reftables, and blob by blob cost ten times one `cat-file --batch`.
Importing it takes 60 ms and two processes: a hook, for which somebody waits, runs the same commands without it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from sync.git.config import complaint, pinned
from sync.git.entries import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    _Runner = Callable[[list[str], BinaryIO | None, Mapping[str, str]], tuple[int, bytes, str]]

_MISSING = "git is not on PATH: install git, or put its folder into PATH"


class Git:
    """Git in a repository whose work tree, or else own folder, is `path`. Every method may raise RepositoryError.

    `here`: git's variables say where the repository is, as in a hook. `name`: in messages, if that isn't `path`.
    `quick`: without GitPython.
    """

    def __init__(
        self, path: Path, git_folder: Path, *, bare: bool, here: bool, name: str = "", quick: bool = False
    ) -> None:
        self.quick = quick
        self._asking: set[int] = set()
        self._path, self._name = path, name or str(path)
        # Its messages are told apart by their English text.
        self._environment = {
            "LC_ALL": "C",
            "LANGUAGE": "C",
            **pinned(path, git_folder, os.environ, bare=bare, here=here),
        }
        self._run = (_without_git_python if quick else _by_git_python)(path, self._environment)

    def must(
        self, *arguments: str, stdin: BinaryIO | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes:
        """The output of a command that must succeed."""
        status, output, stderr = self.run(*arguments, stdin=stdin, environment=environment)
        if status != 0:
            raise RepositoryError(f"git {arguments[0]} failed in {self.shown}: {complaint(stderr)}")
        return output

    def run(
        self,
        *arguments: str,
        stdin: BinaryIO | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes, str]:
        """Exit code, output, and what it said on stderr."""
        thread = threading.get_ident()
        self._asking.add(thread)
        try:
            return self._run(["git", *arguments], stdin, environment or {})
        finally:
            self._asking.discard(thread)

    @property
    def asked(self) -> bool:
        """Whether a command is under way, in any thread."""
        return bool(self._asking)

    def sizes(self, ids: Iterable[str]) -> dict[str, int]:
        """The sizes of blobs in bytes, of those that there are."""
        wanted = sorted(set(ids))
        lines = text(self.ask("--batch-check", wanted)).splitlines() if wanted else []
        return {words[0]: int(words[2]) for words in map(str.split, lines) if len(words) == 3}

    def ask(self, mode: str, wanted: list[str]) -> bytes:
        """One cat-file for many objects."""
        return self.fed(wanted, "cat-file", mode)

    def fed(self, lines: Iterable[str], *arguments: str) -> bytes:
        """The output of a command that reads lines; from a file: two full pipes would wait for each other."""
        with tempfile.TemporaryFile() as questions:
            questions.write("".join(f"{one}\n" for one in lines).encode())
            questions.seek(0)
            return self.must(*arguments, stdin=questions)

    def absolute(self, place: str) -> Path:
        """A place in git's own folder, as git-rev-parse --git-path knows it."""
        return self._path / text(self.must("rev-parse", "--git-path", place)).rstrip("\n")

    def environ(self) -> dict[str, str]:
        return {**os.environ, **self._environment}

    @property
    def shown(self) -> str:
        return repr(self._name)


def _by_git_python(path: Path, fixed: Mapping[str, str]) -> _Runner:
    # Without git on PATH the import itself would raise; told to be quiet, the first command says it in our words.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git  # noqa: PLC0415  # 50 ms, which `list` and `execute` needn't pay

    runner = git.Git(str(path))
    # GitPython adds to the environment and can't take away: what a hook left there is overridden.
    runner.update_environment(**fixed)

    def run(command: list[str], stdin: BinaryIO | None, environment: Mapping[str, str]) -> tuple[int, bytes, str]:
        try:
            return runner.execute(
                command,
                istream=stdin,
                env=environment,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
        except git.GitCommandNotFound as error:
            raise RepositoryError(_MISSING) from error

    return run


def _without_git_python(path: Path, fixed: Mapping[str, str]) -> _Runner:
    def run(command: list[str], stdin: BinaryIO | None, environment: Mapping[str, str]) -> tuple[int, bytes, str]:
        around = {**os.environ, **fixed, **environment}
        source = subprocess.DEVNULL if stdin is None else stdin
        try:
            done = subprocess.run(command, cwd=path, env=around, stdin=source, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise RepositoryError(_MISSING) from error
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "surrogateescape").strip()

    return run
