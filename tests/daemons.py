"""Real daemon processes: `luasprocs daemon --no-sync`, started, killed and stopped as a service manager would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

START_TIMEOUT_S = 20


class DaemonProcess:
    """One process. `start` waits until it listens; what it says is in `output`."""

    def __init__(self, url: str, *options: str, environ: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "sync.cli", "--redis", url, "daemon", "--no-sync", *options]
        self._environ = {**os.environ, **(environ or {})}
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self.process: subprocess.Popen[str] | None = None

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def spawn(self) -> DaemonProcess:
        """Started, not waited for."""
        self.process = subprocess.Popen(
            self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def start(self) -> DaemonProcess:
        self.spawn().until(" listening")
        return self

    def until(self, words: str, timeout_s: float = START_TIMEOUT_S, times: int = 1) -> None:
        """Waits until it has said something so often."""
        deadline = time.monotonic() + timeout_s
        with self._heard:
            while self.output.count(words) < times:
                assert self._heard.wait(max(0.0, deadline - time.monotonic())), f"never said {words!r}:\n{self.output}"

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM. The exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._heard:
                    self._lines.append(line)
                    self._heard.notify_all()
