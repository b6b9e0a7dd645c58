"""Programs that jobs have started, and theirs: none outlives its job, nor the worker, nor the daemon, whatever session it is in.

A process whose parent has ended becomes a child of the next "subreaper" above it. A worker is one: after each job it kills its
children until there are none. Above it stands a keeper, a process that does the same when the worker has ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_READ_BYTES = 1 << 16


class Descendants:
    """Those of this process. It is made before the process is shut in, as /proc is out of reach later.

    Raises:
        OSError: this kernel doesn't tell them.
    """

    def __init__(self) -> None:
        self._children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def end(self) -> None:
        """Kills them all, those too that come while it does."""
        while pids := [int(pid) for pid in os.pread(self._children, _READ_BYTES, 0).split()]:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in pids:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def keep(pipes: Iterable[int]) -> None:
    """Goes on in a child. This process waits for its end, kills what it leaves, and ends as it did; on SIGTERM, or when the
    daemon dies, it kills the child first. `pipes`: the daemon's, which it must not hold open.
    """
    descendants, daemon = Descendants(), os.getppid()
    worker = os.fork()
    if not worker:
        return
    null = os.open(os.devnull, os.O_RDWR)
    for pipe in pipes:
        os.dup2(null, pipe)

    def kill(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)

    signal.signal(signal.SIGTERM, kill)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != daemon:
        kill()
    _, status = os.waitpid(worker, 0)
    descendants.end()
    _end_as(os.waitstatus_to_exitcode(status))


def _end_as(code: int) -> NoReturn:
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL and SIGSTOP have no handler to be reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
