"""A bare repository with its hooks, and somebody's clone of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys
from tests.gitrepo import GitRepo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server
    from tests.sync.commands.shell import Shell


class Hub:
    """A bare repository with its hooks, and somebody's clone of it. No LUASPROCS_* reaches the hooks."""

    def __init__(self, folder: Path, server: Server, shell: Shell) -> None:
        self.bare = GitRepo(folder / "hub.git", "--bare")
        self.server, self.shell = server, shell
        self.installed = shell("--repo", str(self.bare.path), "hook", "install", "receive", "--redis", server.url)
        assert (self.installed.code, self.installed.err) == (0, "")
        self.clone = GitRepo(folder / "clone")
        self.clone.git("remote", "add", "origin", str(self.bare.path))

    @property
    def hooks(self) -> Path:
        return self.bare.path / "hooks"

    def commit(self, **sources: str) -> str:
        for stem, source in sources.items():
            self.clone.write(f"sprocs/{stem}.lua", source)
        return self.clone.commit()

    def push(self, *refs: str, timeout_s: float = 90) -> tuple[int, str]:
        """`git push`: the exit code and what its user sees."""
        environ = {name: value for name, value in self.clone.environ.items() if not name.startswith("LUASPROCS")}
        command = ["git", "push", *(refs or ("origin", "main"))]
        done = subprocess.run(
            command, cwd=self.clone.path, env=environ, capture_output=True, check=False, timeout=timeout_s
        )
        return done.returncode, done.stderr.decode()

    def pushed(self, *refs: str) -> str:
        """A push that is taken; what its user sees."""
        code, said = self.push(*refs)
        assert code == 0, said
        return said

    def live(self, name: str = "a.lua") -> str:
        """What a live sproc returns, to anybody who calls it right now."""
        return self.shell.ok("execute", name).out.rstrip("\n")

    def config(self, name: str, value: str) -> None:
        self.bare.git("config", name, value)

    def revision(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = self.shell.redis.hgetall(Keys().revision)  # type: ignore[assignment]
        return found
