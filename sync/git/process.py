"""The one module that knows GitPython: git's commands in one repository, their output as bytes.

Git's own commands decide what a name means; GitPython runs them (`git.Git`). Its object classes aren't used:
they read neither SHA-256 repositories nor reftables, and blob by blob cost ten times one `cat-file --batch`.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError
from sync.git.config import complaint, pinned
from sync.git.entries import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO


class Git:
    """Git in a repository whose work tree, or else own folder, is `path`. Every method may raise RepositoryError.

    `here`: git's variables say where the repository is, as in a hook. `name`: in messages, if that isn't `path`.
    """

    def __init__(self, path: Path, git_folder: Path, *, bare: bool, here: bool, name: str = "") -> None:
        # Without git on PATH the import itself would raise; told to be quiet, the first command says it in our words.
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import git  # noqa: PLC0415  # 50 ms, which `list` and `execute` needn't pay

        self._path, self._name = path, name or str(path)
        self._git, self._missing = git.Git(str(path)), git.GitCommandNotFound
        # GitPython adds to the environment and can't take away: what a hook left there is overridden.
        self._git.update_environment(**pinned(path, git_folder, os.environ, bare=bare, here=here))

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
        except self._missing as error:
            raise RepositoryError("git is not on PATH: install git, or put its folder into PATH") from error
        return status, output, stderr

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
        return {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **self._git.environment()}

    @property
    def shown(self) -> str:
        return repr(self._name)
