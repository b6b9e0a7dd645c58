"""How the tour shows a step: it runs a command or sends one to the server, prints what came, and compares it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.codes import Status
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from sync.reply import formatted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from sync.console import Console

COMMAND_TIMEOUT_S = 60


class DemoError(LuasprocsError):
    """A step of the tour didn't do what it should."""


class Steps:
    """In `folder`: a server's data, and the repository."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._repository = folder / "shop"
        self._keys = Keys()
        self._environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LUASPROCS_"))
        }
        self._environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}

    def _recorded(self, client: Redis, name: str) -> int:
        return sum(
            one.sproc == name and one.status == Status.OK for one in read_executions(Registry(client, self._keys))
        )

    def _wait_for(self, what: str, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"waited {COMMAND_TIMEOUT_S} s for {what}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def _daemon(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon in the background, which must end in order, unless it has ended already."""
        words = ("luasprocs", "daemon", *options)
        self._console.line(f"$ {shlex.join(words)} &", "bold")
        log = self._folder / "daemon.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "sync.cli", *words[1:]]
            process = subprocess.Popen(
                command, cwd=self._repository, env=self._environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + COMMAND_TIMEOUT_S
            while "listening" not in (said := log.read_text("utf-8", "replace")):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"the daemon does not listen: {said}")
                time.sleep(0.02)
            for line in said.splitlines():
                self._console.line(f"  {line}")
            yield process
            if process.poll() is None:
                self._console.line("$ kill %1", "bold")
                process.terminate()
                self._expect("the daemon's exit code", process.wait(COMMAND_TIMEOUT_S), 0)
        finally:
            process.kill()
            process.wait()

    def _head(self) -> str:
        return self._capture(["git", "rev-parse", "HEAD"])[1].strip()

    def _run(self, *words: str, code: int = 0) -> str:
        """Runs a command as a person would, and shows it with what it printed, which it returns."""
        self._console.line(f"$ {shlex.join(words)}", "bold")
        command = [sys.executable, "-m", "sync.cli", *words[1:]] if words[0] == "luasprocs" else list(words)
        ended, printed = self._capture(command)
        for line in printed.splitlines():
            self._console.line(f"  {line}")
        self._expect(f"the exit code of {shlex.join(words)}", ended, code)
        return printed

    def _capture(self, command: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self._repository,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def _redis(self, client: Redis, *words: str | int) -> Any:
        """Sends a command as redis-cli would, and shows it with its reply."""
        self._console.line(f"redis> {shlex.join(map(str, words))}", "bold")
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*words)
            reply = connection.read_response()
        except ResponseError as error:
            reply = error
        finally:
            client.connection_pool.release(connection)
        for line in formatted(reply).splitlines():
            self._console.line(f"  {line}")
        return reply

    def _say(self, text: str) -> None:
        self._console.line()
        self._console.line(f"# {text}", "cyan")

    def _expect(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            raise DemoError(f"{what}: found {found!r:.300}, wanted {wanted!r:.300}")
