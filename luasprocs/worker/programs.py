"""`io.popen`, where the host's settings allow programs: lupa's Lua is built without it."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

_READS = 'exec > "$1"; eval "$0"'
_WRITES = 'exec < "$1"; eval "$0"'


class Programs:
    """The programs that a job has started so, each at the other end of a named pipe in the working folder."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: bytes, mode: bytes) -> tuple[bytes | None, bytes]:
        """The pipe's name, for Lua to open and remove; or None and why there is none."""
        if mode not in {b"r", b"w"}:
            return None, b"invalid mode"
        name = temporary_name()
        try:
            os.mkfifo(name, 0o600)
            script = _READS if mode == b"r" else _WRITES
            self._running.append(subprocess.Popen(["/bin/sh", "-c", script, command, name], stdin=subprocess.DEVNULL))
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            return None, str(error.strerror).encode()
        return name.encode(), b""

    def end(self) -> None:
        while self._running:
            program = self._running.pop()
            program.kill()
            program.wait()


def temporary_name() -> str:
    """A name in the working folder that nothing has."""
    return f"lua_{uuid.uuid4().hex[:12]}"
