"""Git commands that ask somebody else: they may wait for long, and end with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Asking:
    """Runs them one at a time; another thread may give one up."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(
        self, *arguments: str, folder: Path, environ: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes, str]:
        """Exit code, output, complaints. There is no terminal, whatever this process has: nobody is asked for a password there.

        Raises:
            RepositoryError: git is not on PATH, or there was no answer in time.
        """
        try:
            process = subprocess.Popen(
                ["git", *arguments], cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise RepositoryError("git is not on PATH: install git, or put its folder into PATH") from error
        with self._lock:
            self._process = process
        try:
            output, said = process.communicate(timeout=timeout_s)
        except BaseException as error:
            self.give_up()
            process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise RepositoryError(f"there was no answer within {timeout_s:g} s") from error
        finally:
            with self._lock:
                self._process = None
        if process.returncode == -signal.SIGKILL:
            raise RepositoryError("it was given up before there was an answer")
        return process.returncode, output, said.decode("utf-8", "replace")

    def give_up(self) -> None:
        """Ends the one that runs, if any, and what it has started: git's helpers, ssh."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
