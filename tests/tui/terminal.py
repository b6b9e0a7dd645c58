"""A real terminal: tmux."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Self

import pytest

from tests.servers import in_ci
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path


class Terminal:
    """A program in a window of a tmux server of its own."""

    def __init__(self, folder: Path, *command: str, columns: int, rows: int) -> None:
        if shutil.which("tmux") is None:
            (pytest.fail if in_ci() else pytest.skip)("tmux is missing: apt-get install tmux")
        self._socket = str(folder / "tmux")
        self._command, self._size = shlex.join(("env", "-u", "COLUMNS", "-u", "LINES", *command)), (columns, rows)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    def __enter__(self) -> Self:
        columns, rows = map(str, self._size)
        self._tmux("new-session", "-d", "-x", columns, "-y", rows, self._command)
        self._tmux("resize-window", "-x", columns, "-y", rows)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False, timeout=20)

    def keys(self, *keys: str) -> None:
        """Presses keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    @property
    def modes(self) -> str:
        """Whether there are an alternate screen, reports of the mouse, and a cursor: 1 or 0."""
        return self._tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def shows(self, *texts: str) -> str:
        """Waits until all of these stand there."""
        until(lambda: all(text in self.screen for text in texts), what=lambda: f"never came: {texts}\n{self.screen}")
        return self.screen

    def hides(self, text: str) -> None:
        """Waits until this stands there no more."""
        until(lambda: text not in self.screen, what=lambda: f"still there: {text}\n{self.screen}")
