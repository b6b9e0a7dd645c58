"""Daemons as real processes: started, waited for until they listen, stopped, killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
LISTENING = "listening"


class DaemonProcess:
    """`luasprocs --redis URL daemon --no-sync`, with `options` before the command and `words` behind it.

    As a context: started, and killed at the end. Nothing of the machine's LUASPROCS_* and GIT_* is handed on.
    """

    def __init__(
        self,
        url: str,
        *options: str,
        words: tuple[str, ...] = ("daemon", "--no-sync"),
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "sync.cli", "--redis", url, *options, *words]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LUASPROCS", "GIT_"))}
        self._environ = clean | {"PYTHONUNBUFFERED": "1", **(environ or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, until: str = LISTENING) -> Self:
        """Starts it, again if it has ended, and waits until a line on stderr holds `until`; "" waits for nothing."""
        assert not self.running, "it runs already"
        with self._news:
            self._lines.clear()
        self._process = subprocess.Popen(
            self._command, cwd=self._cwd, env=self._environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if until:
            try:
                self.wait_for(until)
            except AssertionError:
                self.kill()
                raise
        return self

    def wait_for(self, text: str, *, times: int = 1, timeout_s: float = START_TIMEOUT_S) -> None:
        """Waits until so many lines hold a text."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while sum(text in line for line in self._lines) < times:
                left_s = deadline - time.monotonic()
                ended = self._reader is not None and not self._reader.is_alive()
                if ended or left_s <= 0:
                    raise AssertionError(f"it {'ended' if ended else 'ran'} without {text!r}:\n{self._said()}")
                self._news.wait(min(left_s, 0.1))

    def stop(self) -> int:
        """SIGTERM. Its exit code."""
        if self.running:
            self.process.terminate()
        return self.ended()

    def kill(self) -> None:
        """SIGKILL; harmless when it doesn't run."""
        if self._process is not None:
            self._process.kill()
            self.ended()

    def ended(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Waits for its end. Its exit code."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it does not end:\n{self.output()}") from None
        assert self._reader is not None
        self._reader.join(5)
        return code

    def output(self) -> str:
        """What it has said on stderr since its last start."""
        with self._news:
            return self._said()

    def _said(self) -> str:
        return "".join(self._lines)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as stream:
            for line in stream:
                with self._news:
                    self._lines.append(line.decode("utf-8", "replace"))
                    self._news.notify_all()
