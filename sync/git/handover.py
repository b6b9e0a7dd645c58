"""One process for both hooks of a push: the one that `pre-receive` has started waits for `post-receive`, a few lines of shell.

They meet in a folder of the repository that is named after git's process. It holds `pid`, who waits; `given`, the refs that git
has moved; `asked`, a named pipe that gets a line once they are there; `said`, one that gives the answer: each line of it behind a
blank, then `done`. A shell that finds no such folder, or no `done`, starts a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

WAIT_S = 120.0
"""Of a push whose refs git has not moved by then a new process is started."""
PREFIX = "luasprocs-push-"
QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
"""What git's environment says while a push is judged, and no more when its refs have moved."""


def wait_behind(repository: Path, git_pid: int, answer: Callable[[bytes, TextIO], None]) -> None:
    """Leaves a copy of this process behind, which answers `post-receive` and ends; it ends with git, too.

    `answer`: takes the refs that git has moved, and where to print. Where that can't be done nothing is left behind.
    """
    if not hasattr(os, "pidfd_open"):
        return
    try:
        place = _made(repository, git_pid)
        git = os.pidfd_open(git_pid)
    except OSError:
        return
    asked = os.open(place / "asked", os.O_RDWR | os.O_NONBLOCK)
    said = os.open(place / "said", os.O_RDWR)
    if child := os.fork():
        (place / "pid.new").write_text(f"{child}\n", "ascii")
        (place / "pid.new").rename(place / "pid")
        return
    try:
        _wait(place, git, asked, said, answer)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os._exit(0)


def _made(repository: Path, git_pid: int) -> Path:
    """The folder with its pipes. Those that killed processes have left are swept away."""
    for left in repository.glob(f"{PREFIX}*"):
        if left.name == f"{PREFIX}{git_pid}" or not _lives(left / "pid"):
            shutil.rmtree(left, ignore_errors=True)
    place = repository / f"{PREFIX}{git_pid}"
    place.mkdir(mode=0o700)
    for name in ("asked", "said"):
        os.mkfifo(place / name, 0o600)
    return place


def _lives(file: Path) -> bool:
    try:
        pid = int(file.read_text("ascii"))
    except (OSError, ValueError):
        return _age_s(file.parent) < WAIT_S  # it is being made
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(") ")[2][:1] not in {"Z", "X"}
    except OSError:
        return False


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return WAIT_S


def _wait(place: Path, git: int, asked: int, said: int, answer: Callable[[bytes, TextIO], None]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # git waits until nobody can write to the one who pushes any more
        os.dup2(null, descriptor)
    for name in QUARANTINE:
        os.environ.pop(name, None)
    events = select.poll()
    events.register(asked, select.POLLIN)
    events.register(git, select.POLLIN)
    if not events.poll(WAIT_S * 1000):
        place = place.rename(place.with_name(f"{place.name}.late"))  # from now on nobody asks; somebody may just have
    events.unregister(git)
    if not events.poll(0):
        shutil.rmtree(place, ignore_errors=True)
        return
    with _Reply(os.open(place / "said", os.O_WRONLY | os.O_NONBLOCK)) as reply:
        os.close(said)  # from here on a reader who has gone is noticed
        answer((place / "given").read_bytes(), reply)
        reply.end()
    shutil.rmtree(place, ignore_errors=True)


class _Reply(io.StringIO):
    """Prints lines into the pipe; one who has hung up misses them, which changes nothing else."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        os.set_blocking(pipe, True)
        self._pipe = pipe
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._send(f" {line}\n")
        return len(text)

    def end(self) -> None:
        if self._line:
            self.write("\n")
        self._send("done\n")

    def close(self) -> None:
        if not self.closed:
            os.close(self._pipe)
        super().close()

    def _send(self, line: str) -> None:
        data = line.encode("utf-8", "replace")
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._pipe, data) :]
