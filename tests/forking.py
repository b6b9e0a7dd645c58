"""Daemons as children of a process that has imported all that they need, which takes most of the time of a start.

A daemon that was started so is a process as any other, with folder, environment, pipes and signals of its own, that runs the
command line's `main`; only /proc/PID/environ and cmdline are those of the process that forked. Tests of these start a daemon the
long way: `DaemonProcess(…, forked=False)`.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import sync.cli
from tests.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 1 << 17
START_TIMEOUT_S = 60.0


class Forked:
    """A child, with what tests use of `subprocess.Popen`: `pid`, `stderr`, `poll`, `wait` and signals."""

    def __init__(self, args: Sequence[str], environ: Mapping[str, str], cwd: Path | None) -> None:
        told = {"args": list(args), "environ": dict(environ), "cwd": str(cwd or Path.cwd())}
        stderr, child_stderr = os.pipe()
        self._status, child_status = socket.socketpair()
        fds = array.array("i", [child_stderr, child_status.fileno()])
        try:
            _forker().sendmsg([json.dumps(told).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        finally:
            os.close(child_stderr)
            child_status.close()
        self.stderr: BinaryIO = os.fdopen(stderr, "rb")
        self.returncode: int | None = None
        self._waiting = threading.Lock()
        self._said = b""
        self.pid = self._number(START_TIMEOUT_S)

    def _number(self, timeout_s: float | None) -> int:
        """The next that the forking process says: the pid, then the exit code, negative for a signal."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._said:
            self._status.settimeout(None if deadline is None else max(1e-6, deadline - time.monotonic()))
            data = self._status.recv(64)
            assert data, "the process that forks daemons has ended"
            self._said += data
        number, _, self._said = self._said.partition(b"\n")
        return int(number)

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not self._waiting.acquire(timeout=-1 if timeout is None else timeout):
                raise subprocess.TimeoutExpired("a forked daemon", timeout or 0.0)
            try:
                return self._ended(timeout)
            finally:
                self._waiting.release()
        return self.returncode

    def _ended(self, timeout: float | None) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("a forked daemon", timeout or 0.0) from None
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        # Its end is told before its pid is free for another process.
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _forker() -> socket.socket:
    """The way to this process's own; it ends with this one."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    with theirs:
        command = [sys.executable, "-m", "tests.forking", str(theirs.fileno())]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("LUASPROCS_", "GIT_"))}
        process = subprocess.Popen(
            command, env=environ, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    atexit.register(process.wait)
    atexit.register(ours.close)  # before
    return ours


def _serve(requests: socket.socket) -> list[str]:
    """Forks until nobody asks any more, and tells of each child's end. Returns in each child: its command line."""
    children: dict[int, socket.socket] = {}
    ended, told = socket.socketpair()
    for one in (ended, told):
        one.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    interrupt = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for pytest, which ends its daemons by this process
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                ended.recv(1 << 12)
                _tell(children)
            if requests in ready:
                data, fds, _, _ = socket.recv_fds(requests, LONGEST, 2)
                if not data:
                    sys.exit()
                pid = os.fork()
                if not pid:
                    break
                os.close(fds[0])
                children[pid] = socket.socket(fileno=fds[1])
                _say(children[pid], pid)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, interrupt)
    for one in (requests, ended, told, *children.values()):
        one.close()
    os.dup2(fds[0], 2)
    os.close(fds[0])
    os.close(fds[1])
    return _as_told(json.loads(data))


def _tell(children: dict[int, socket.socket]) -> None:
    while children:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return
        with children.pop(ended.si_pid) as asked:
            _say(asked, ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        os.waitpid(ended.si_pid, 0)


def _say(asked: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody wants to know any more
        asked.sendall(b"%d\n" % number)


def _as_told(told: dict[str, object]) -> list[str]:
    environ, args = told["environ"], told["args"]
    assert isinstance(environ, dict)
    assert isinstance(args, list)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(str(told["cwd"]))
    sys.argv = [sys.argv[0], *args]
    return args


if __name__ == "__main__":
    import_module("sync.commands.daemon_")
    import_module("sync.git.repository")
    gc.collect()
    gc.freeze()
    sync.cli.main(_serve(socket.socket(fileno=int(sys.argv[1]))))
