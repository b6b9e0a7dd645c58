"""Terminals that a benchmark presses keys in, and that say when what was drawn came: a pty, and a window of tmux."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shlex
import struct
import subprocess
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Self

COLUMNS, ROWS = 160, 45
REST_S = 0.03
MEMORY_BYTES = 1 << 16


class Terminal:
    """A program in a pty, read all the time: a terminal that lags would hold the program up."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._came = threading.Condition()
        self._seen = b""
        self._last_s = 0.0

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LUASPROCS_SCREEN": os.devnull}
        self.process = subprocess.Popen(
            self._command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # how a pty says that its program has ended
            self._follow(self._ours)

    def _follow(self, file: int) -> None:
        while came := os.read(file, 1 << 20):
            with self._came:
                self._seen, self._last_s = self._seen[-MEMORY_BYTES:] + came, time.perf_counter()
                self._came.notify_all()

    def type(self, text: bytes) -> None:
        with self._came:
            self._seen = b""
        os.write(self._ours, text)

    def until(self, text: bytes, within_s: float = 60) -> float:
        """Waits until this was drawn; when the read that brought it came."""
        with self._came:
            assert self._came.wait_for(lambda: text in self._seen, within_s), f"{text!r} was never drawn"
            return self._last_s

    def rests(self) -> None:
        """Waits until nothing was drawn for a while."""
        with self._came:
            while self._came.wait(REST_S):
                pass

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


class Tmux(Terminal):
    """The same in a window of a tmux server of its own."""

    def __enter__(self) -> Self:
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        program = shlex.join(("env", f"LUASPROCS_SCREEN={os.devnull}", *self._command))
        self._folder = tempfile.TemporaryDirectory()
        self._socket = ("tmux", "-S", f"{self._folder.name}/tmux")
        self._control = subprocess.Popen(
            (*self._socket, "-f", os.devnull, "-C", "new-session", *size, program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._say(f"refresh-client -C {COLUMNS},{ROWS}")
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run((*self._socket, "kill-server"), check=False, capture_output=True)
        self._control.communicate()
        self._reader.join()
        self._folder.cleanup()

    def _read(self) -> None:
        assert self._control.stdout is not None
        self._follow(self._control.stdout.fileno())

    def _say(self, command: str) -> None:
        assert self._control.stdin is not None
        self._control.stdin.write(f"{command}\n".encode())
        self._control.stdin.flush()

    def type(self, text: bytes) -> None:
        with self._came:
            self._seen = b""
        self._say(f"send-keys -H {text.hex(' ')}")

    @property
    def pid(self) -> int:
        said = subprocess.run(
            (*self._socket, "list-panes", "-F", "#{pane_pid}"), check=True, capture_output=True, text=True
        )
        return int(said.stdout)
