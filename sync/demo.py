"""The tour: each step runs the real command line and then reads back from Redis what must be there now."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from luasprocs.worker import landlock
from sync.reply import formatted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from sync.console import Console

BROKEN = "-- key=lost*\nreturn redis.call('GET' 'x')\n"
COMMAND_TIMEOUT_S = 60
PERIOD_MS = 2000
"""Of sc3.lua here."""
MOMENT_MS = 200


def examples() -> Path:
    """The example sprocs: beside the packages in a clone, inside the package when installed."""
    installed = Path(str(resources.files("luasprocs"))) / "examples"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "sprocs"


class DemoError(LuasprocsError):
    """A step of the tour didn't do what it should."""


class Tour:
    """One run of the demo in `folder`."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._repository = folder / "shop"
        self._keys = Keys()
        self._environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LUASPROCS_"))
        }
        self._environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}

    def run(self) -> None:
        """The whole tour.

        Raises:
            DemoError: the first step that failed, with what was found and what was wanted.
        """
        self._say("an embedded Valkey, and a git repository with the example sprocs")
        with EmbeddedServer(self._folder / ".luasprocs") as server:
            self._environ["LUASPROCS_REDIS"] = server.url
            client = connect(server.url)
            try:
                self._make_repository()
                first = self._first_sync(client)
                self._execute(client)
                self._look(client)
                self._dream(client)
                second = self._change(client)
                self._refuse(client, second)
                self._roll_back(client, first)
            finally:
                client.close()
        self._say("every value above was read back from the server, and was right")

    def _make_repository(self) -> None:
        shutil.copytree(examples(), self._repository / "sprocs")
        sc3 = self._repository / "sprocs" / "sc3.lua"  # every 15 seconds: the tour is shorter
        sc3.write_text(sc3.read_text("utf-8").replace("cron=*/15 ", "cron=*/2 "), "utf-8")
        self._run("git", "init", "--quiet", "--initial-branch=main")
        self._run("git", "config", "user.name", "Demo")
        self._run("git", "config", "user.email", "demo@example.invalid")
        self._run("git", "add", ".")
        self._run("git", "commit", "--quiet", "-m", "The first sprocs")

    def _first_sync(self, client: Redis) -> str:
        self._say("one command makes the commit live")
        self._run("luasprocs", "sync")
        head = self._head()
        self._expect("the live commit", client.hget(self._keys.revision, "commit"), head.encode())
        names = sorted(
            path.relative_to(self._repository / "sprocs").as_posix()
            for path in (self._repository / "sprocs").rglob("*.lua")
        )
        self._expect("the list", client.lrange(self._keys.list, 0, -1), [name.encode() for name in names])
        return head

    def _execute(self, client: Redis) -> None:
        self._say("sc1.lua, by name: from the shell, and as any client calls it")
        self._run("luasprocs", "execute", "sc1.lua", "--key", "greeting")
        value = self._redis(client, "GET", "greeting")
        self._expect("the key that sc1.lua changed", bool(value), True)
        client.delete("greeting")
        self._redis(client, "FCALL", "luasprocs_execute", 1, "greeting", "sc1.lua")
        self._expect("the same by FCALL", client.get("greeting"), value)

    def _look(self, client: Redis) -> None:
        self._say("what Redis holds")
        listed = self._redis(client, "LRANGE", self._keys.list, 0, 5)
        self._expect("six names", len(listed), 6)
        stored = self._redis(client, "HGETALL", self._keys.name("sc2.lua"))
        fields = dict(zip(stored[::2], stored[1::2], strict=True))
        source = (self._repository / "sprocs" / "sc2.lua").read_bytes()
        self._expect("its source", fields.get(b"source"), source)
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
        self._expect(
            "its sha, as SCRIPT LOAD answers",
            (fields.get(b"sha"), client.script_load(source)),
            (sha, sha.decode()),
        )
        self._expect("its key", fields.get(b"key"), b"dream*")

    def _dream(self, client: Redis) -> None:
        if not landlock.abi():
            self._say("this kernel has no Landlock: async sprocs run unconfined, which only a setting allows")
            self._environ["LUASPROCS_ALLOW"] = "unconfined"
        self._say("a daemon runs sprocs by themselves: sc2.lua whenever a key dream* is set")
        with self._daemon():
            self._redis(client, "SET", "dream", "something")
            self._run("luasprocs", "wait")
            self._expect("what sc2.lua made of it", self._redis(client, "GET", "sc2"), b"dream=something")
            logged = self._run("luasprocs", "logs", "--sproc", "sc2.lua").split("\t")
            self._expect("the execution", logged[1:6], ["sc2.lua", "event", "set", "dream", "ok"])
            self._tick(client)
            self._write_file(client)
            self._run("luasprocs", "status")

    def _tick(self, client: Redis) -> None:
        self._say("sc3.lua by the clock: its key counts down, its list grows")
        self._run("luasprocs", "cron")
        countdown = self._keys.cron_prefix + "sc3.lua"
        self._wait_for("a countdown", lambda: client.pttl(countdown) > MOMENT_MS)
        first, later = self._redis(client, "PTTL", countdown), self._redis(client, "PTTL", countdown)
        self._expect("the countdown, in milliseconds", PERIOD_MS >= first >= later > 0, True)
        before = len(self._redis(client, "LRANGE", "ttlLst", 0, 10))
        self._wait_for("two ticks", lambda: client.llen("ttlLst") >= before + 2)
        ticks = [int(tick) for tick in self._redis(client, "LRANGE", "ttlLst", 0, 10)]
        apart = {newer - older for newer, older in pairwise(ticks)}
        self._expect("the seconds between two ticks", apart, {PERIOD_MS // 1000})
        self._expect("each tick's record", self._recorded(client, "sc3.lua") >= len(ticks), True)

    def _write_file(self, client: Redis) -> None:
        self._say("sc4.lua in the background, in a process of its own: it writes a file")
        self._redis(client, "SET", "file:hello", "world")
        self._wait_for("the record of the job", lambda: self._recorded(client, "sc4.lua"))
        self._run("luasprocs", "logs", "--sproc", "sc4.lua")
        written = self._repository / ".luasprocs" / "files" / "sc4.txt"
        self._console.line(f"$ cat {written.relative_to(self._repository)}", "bold")
        text = written.read_text("utf-8") if written.exists() else ""
        self._console.line(f"  {text.rstrip()}")
        self._expect("the file", text.splitlines()[-1:], ["file:hello\tworld"])

    def _recorded(self, client: Redis, name: str) -> int:
        return sum(one.sproc == name and one.status == "ok" for one in read_executions(Registry(client, self._keys)))

    def _wait_for(self, what: str, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"waited {COMMAND_TIMEOUT_S} s for {what}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        """A daemon in the background, which must end in order."""
        words = ("luasprocs", "daemon", "--no-sync")
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
            yield
            self._console.line("$ kill %1", "bold")
            process.terminate()
            self._expect("the daemon's exit code", process.wait(COMMAND_TIMEOUT_S), 0)
        finally:
            process.kill()
            process.wait()

    def _change(self, client: Redis) -> str:
        self._say("a change: edit, look, commit, sync")
        path = self._repository / "sprocs" / "sc1.lua"
        path.write_text("-- description=says it louder\nreturn 'HELLO ' .. (ARGV[1] or 'WORLD')\n", encoding="utf-8")
        self._run("git", "commit", "--quiet", "-a", "-m", "Louder")
        self._run("luasprocs", "plan", code=1)
        self._run("luasprocs", "sync")
        self._run("luasprocs", "execute", "sc1.lua", "demo")
        answer = self._redis(client, "FCALL", "luasprocs_execute", 0, "sc1.lua", "demo")
        self._expect("the new sc1.lua", answer, b"HELLO demo")
        return self._head()

    def _refuse(self, client: Redis, before: str) -> None:
        self._say("a broken commit: nothing of it is applied")
        (self._repository / "sprocs" / "broken.lua").write_text(BROKEN, encoding="utf-8")
        self._run("git", "add", "sprocs")
        self._run("git", "commit", "--quiet", "-m", "Break it")
        self._run("luasprocs", "sync", code=1)
        self._expect("the live commit, as before", client.hget(self._keys.revision, "commit"), before.encode())
        self._expect("no broken.lua", client.exists(self._keys.name("broken.lua")), 0)

    def _roll_back(self, client: Redis, first: str) -> None:
        self._say("and back, without git")
        self._run("luasprocs", "rollback")
        self._expect("the first commit is live again", client.hget(self._keys.revision, "commit"), first.encode())
        source = (examples() / "sc1.lua").read_bytes()
        self._expect("sc1.lua is the first one again", client.hget(self._keys.name("sc1.lua"), "source"), source)
        self._run("luasprocs", "history")
        self._expect("three generations", client.xlen(self._keys.history), 3)

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
