"""A process of this machine that is no child of this one."""

from __future__ import annotations

import contextlib
import os
import signal


class Process:
    """Held by a file where the system has such files, so that no later process of the same number is meant. 0: none."""

    def __init__(self, pid: int) -> None:
        self._pid, self._file = pid, -1
        if pid and hasattr(os, "pidfd_open"):
            try:
                self._file = os.pidfd_open(pid)
            except ProcessLookupError:
                self._pid = 0
            except OSError:  # a sandbox may forbid it
                return

    def kill(self) -> None:
        """Once."""
        pid, self._pid = self._pid, 0
        with contextlib.suppress(OSError):
            if self._file >= 0:
                signal.pidfd_send_signal(self._file, signal.SIGKILL)
            elif pid:
                os.kill(pid, signal.SIGKILL)
