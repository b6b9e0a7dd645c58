"""The tour: each step runs the real command line and then reads back from Redis what must be there now."""

from __future__ import annotations

import hashlib
import shutil
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.worker import landlock
from sync.demo_findings import FindingSteps

if TYPE_CHECKING:
    from redis import Redis


BROKEN = "-- key=lost*\nreturn redis.call('GET' 'x')\n"
PERIOD_MS = 2000
"""Of sc3.lua here."""
MOMENT_MS = 200


def examples() -> Path:
    """The example sprocs: beside the packages in a clone, inside the package when installed."""
    installed = Path(str(resources.files("luasprocs"))) / "examples"
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "sprocs"


class Tour(FindingSteps):
    """One run of the demo in `folder`."""

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
                self._find(client)
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
        with self._daemon("--no-sync"):
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
        self._run("luasprocs", "rollback", "1")
        self._expect("the first commit is live again", client.hget(self._keys.revision, "commit"), first.encode())
        source = (examples() / "sc1.lua").read_bytes()
        self._expect("sc1.lua is the first one again", client.hget(self._keys.name("sc1.lua"), "source"), source)
        self._run("luasprocs", "history")
        self._expect("four generations", client.xlen(self._keys.history), 4)
