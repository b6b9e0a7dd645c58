"""Real daemon processes: `luasprocs daemon --no-sync`, started, killed and stopped as a service manager would."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from tests.forking import Forked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-m", "sync.cli"]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


class DaemonProcess:
    """One process. `start` waits until it listens; what it says on stderr is in `output`.

    `options` stand behind the command, `before` in front of it; `command` may be another one that serves. As a context: started,
    and killed at the end. Nothing of the machine's LUASPROCS_* and GIT_* is handed on. `forked`: by forking.py, which is as good
    and takes a third of the time.
    """

    def __init__(
        self,
        url: str,
        *options: str,
        before: tuple[str, ...] = (),
        command: tuple[str, ...] = ("daemon", "--no-sync"),
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        forked: bool = True,
    ) -> None:
        where = ("--redis", url) if url else ()
        self._command = [*COMMAND, *where, *before, *command, *options]
        self._forked = forked
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LUASPROCS_", "GIT_"))}
        self._environ = {**clean, "PYTHONUNBUFFERED": "1", **(environ or {})}
        self._cwd = cwd
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._readers: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | Forked | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def output(self) -> str:
        """What it has said since its last start."""
        with self._heard:
            return "".join(self._lines)

    @property
    def process(self) -> subprocess.Popen[bytes] | Forked:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> Self:
        """Started (again, if it has ended), not waited for."""
        assert not self.running, "it runs already"
        self._join()
        self._lines.clear()
        count = len(COMMAND)
        if self._forked and self._command[:count] == COMMAND:
            self._process = Forked(self._command[count:], self._environ, self._cwd)
        else:
            self._process = subprocess.Popen(
                self._command, cwd=self._cwd, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        self._readers = [threading.Thread(target=self._read, args=(self._process,), daemon=True)]
        self._readers[0].start()
        return self

    def start(self) -> Self:
        try:
            self.spawn().until(" listening")
        except AssertionError:
            self.kill()
            raise
        return self

    def until(self, words: str, timeout_s: float = START_TIMEOUT_S, times: int = 1) -> None:
        """Waits until it has said something so often."""
        deadline = time.monotonic() + timeout_s
        with self._heard:
            while (said := "".join(self._lines)).count(words) < times:
                if not any(reader.is_alive() for reader in self._readers):
                    raise AssertionError(f"it ended and never said {words!r}:\n{said}")
                assert time.monotonic() < deadline, f"it never said {words!r}:\n{said}"
                self._heard.wait(0.1)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        if self.running:
            self.process.terminate()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it does not end:\n{self.output}") from None
        self._join()
        return code

    def kill(self) -> None:
        """SIGKILL; harmless when it doesn't run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._join()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(5)

    def _read(self, process: subprocess.Popen[bytes] | Forked) -> None:
        assert process.stderr is not None
        with process.stderr as stream:
            for line in stream:
                with self._heard:
                    self._lines.append(line.decode("utf-8", "replace"))
                    self._heard.notify_all()
