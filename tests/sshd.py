"""A real sshd on a port of its own, with its own host key and its own list of who may come; it can hang, and go away."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.servers import in_ci
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""


class Sshd:
    """Lets in who has the key `name` of `allow`. As a context: it serves; `gone` and `back` as of GitHttp.

    Skips the test, loudly, where there is no sshd; in CI that is a failure.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")
        if program is None:
            (pytest.fail if in_ci() else pytest.skip)("LEFT OUT: sshd is missing (apt-get install openssh-server)")
            raise AssertionError
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # else it does not start as root
        self.folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.new_host_key()

    def __enter__(self) -> Self:
        self.back()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone()

    def back(self) -> None:
        """Listens, on the same port as before."""
        config = self.folder / "config"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder))
        self._process = subprocess.Popen(
            [self._program, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_S
        while not _listens(self.port):
            assert self._process.poll() is None, "sshd ended"
            assert time.monotonic() < deadline, "sshd does not listen"
            time.sleep(0.01)

    def gone(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def key(self, name: str, passphrase: str = "") -> Path:
        """The path of a private key, made if there is none of that name."""
        path = self.folder / name
        if not path.exists():
            make = ("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(path))
            subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
        return path

    def allow(self, *names: str) -> None:
        """Whose keys open the door from now on."""
        (self.folder / "authorized").write_text(_public(self.key(name) for name in names))

    def new_host_key(self) -> None:
        """Another host, as it seems, at its next start."""
        for path in self.folder.glob("host*"):
            path.unlink()
        self.key("host")

    def known(self, *, well: bool = True) -> Path:
        """A known_hosts file that has its key; or not."""
        path = self.folder / "known_hosts"
        path.write_text(f"[127.0.0.1]:{self.port} {_public([self.key('host')])}" if well else "")
        return path

    def command(self, name: str) -> str:
        """The ssh command of who has the key `name`, and nothing else of this machine's."""
        return (
            f"ssh -F none -i {self.key(name)} -oIdentitiesOnly=yes -oIdentityAgent=none -oPort={self.port} "
            f"-oUserKnownHostsFile={self.folder}/known_hosts -oGlobalKnownHostsFile=/dev/null"
        )

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def short_url(self, path: Path) -> str:
        """As scp has them: without the port."""
        return f"{getpass.getuser()}@127.0.0.1:{path}"


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _public(keys: Iterable[Path]) -> str:
    return "".join(key.with_suffix(".pub").read_text() for key in keys)
