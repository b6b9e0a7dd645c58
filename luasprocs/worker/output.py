"""Where a job's `print` and `io.write` go: a pipe of this process's own, never the daemon's log, never more than it holds."""

from __future__ import annotations

import ctypes
import os

HOLDS_BYTES = 1 << 16


class Output:
    """Takes over the process's stdout and stderr. What doesn't fit is lost: a job that prints for ever fills nothing."""

    def __init__(self) -> None:
        self._read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.dup2(write_fd, 1)
        os.dup2(write_fd, 2)
        os.close(write_fd)
        self._libc = ctypes.CDLL(None)

    def taken(self) -> bytes:
        """What was written since the last call, from its beginning; afterwards it is empty."""
        self._libc.fflush(None)
        data = self._drained()
        if len(data) >= HOLDS_BYTES // 2:  # it may have been full: what C's library still holds would be the next job's
            self._libc.fflush(None)
            self._drained()
        return data

    def _drained(self) -> bytes:
        try:
            return os.read(self._read_fd, HOLDS_BYTES)
        except BlockingIOError:
            return b""
