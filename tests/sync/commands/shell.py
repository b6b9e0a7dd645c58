"""A user at a shell: a repository, a server, and `luasprocs` typed into it."""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sync.cli import run
from tests.gitrepo import GitRepo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from redis import Redis

    from tests.servers import Server


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object that was printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects that were printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def rows(self) -> list[list[str]]:
        """What a pipe gets of a table."""
        return [line.split("\t") for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Shell:
    """`repo` is the current folder, `server` what LUASPROCS_REDIS names."""

    repo: Path
    server: Server
    capture: pytest.CaptureFixture[bytes]

    @property
    def redis(self) -> Redis:
        return self.server.client()

    def __call__(self, *args: str) -> Result:
        self.capture.readouterr()
        code = run(args)
        out, err = self.capture.readouterr()
        return Result(code, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape"))

    def ok(self, *args: str) -> Result:
        """The same, of which nothing but success is expected."""
        result = self(*args)
        assert (result.code, result.err) == (0, ""), result
        return result

    def nothing(self, *args: str) -> str:
        """What is said, to a person only, where there is nothing to print."""
        result = self(*args)
        assert (result.code, result.out) == (0, ""), result
        return result.err

    def process(self, *args: str, **environ: str) -> Result:
        """Runs a command line as a process of its own, in pipes."""
        done = subprocess.run(
            [sys.executable, "-m", "sync.cli", *args],
            cwd=self.repo,
            env=os.environ | environ,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def terminal(self, *args: str, **environ: str) -> Result:
        """Runs a command line on a terminal of 100 columns; `out` has what the terminal got."""
        master, slave = pty.openpty()
        size = {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", *args],
            cwd=self.repo,
            env=os.environ | size | environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        got = b"".join(_received(master))
        os.close(master)
        return Result(process.wait(60), got.decode().replace("\r\n", "\n"), "")

    def git(self, *args: str) -> str:
        return GitRepo(self.repo).git(*args)

    def write(self, name: str, source: str | bytes = "return 1\n") -> Path:
        """A sproc in the work tree; the path that a user would type."""
        path = GitRepo(self.repo).write(f"sprocs/{name}", source)
        return path.relative_to(self.repo)

    def commit(self, **sources: str | bytes) -> str:
        """Commits the work tree, with these sprocs in it (`a="…"` is a.lua). The commit's id."""
        for stem, source in sources.items():
            self.write(f"{stem}.lua", source)
        return GitRepo(self.repo).commit()

    def everything(self) -> dict[bytes, Any]:
        """Every key's value and the engine, to be compared."""
        client = self.redis
        keys: list[bytes] = client.keys("*")  # type: ignore[assignment]
        dump: dict[bytes, Any] = {key: client.dump(key) for key in keys}
        return dump | {b"functions": client.execute_command("FUNCTION", "LIST", "WITHCODE")}


def _received(master: int) -> list[bytes]:
    parts = []
    while part := _read(master):
        parts.append(part)
    return parts


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # Linux says so when the other side is closed
            return b""
        raise
