"""The daemon's role of `luasprocs acl`, in its narrowest form: all of a daemon's work can be done, and no right is left over."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError, ResponseError

from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.pause import resume
from luasprocs.registry.live import read_sprocs
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service
from tests.until import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(180)
ON = "-- event={}\n-- key=app:{}\n"
SPROCS = {
    **{f"{kind}.lua": ON.format(event, kind) + "-- catchup=scan\nreturn #ARGV[1]\n" for kind, event in (
        ("string", "set"), ("hash", "hset"), ("list", "rpush"), ("set", "sadd"), ("zset", "zadd"), ("stream", "xadd"),
    )},
    "gone.lua": ON.format("expired", "gone*") + "return redis.call('INCR', 'app:n')\n",
    "chain.lua": ON.format("incrby", "chain") + "-- reentrant=yes\nreturn redis.call('INCR', 'app:chain')\n",
    "async.lua": ON.format("set", "string") + "-- runasync=yes\n-- overlap=allow\nreturn redis.call('INCR', 'app:n')\n",
    "queue.lua": ON.format("set", "string") + "-- runasync=yes\n-- overlap=queue\nreturn 1\n",
    "dies.lua": ON.format("set", "string") + "-- runasync=yes\n-- retries=1\n-- backoff=10ms\nerror('no')\n",
    "fails.lua": ON.format("set", "string") + "-- retries=1\n-- backoff=10ms\nerror('no')\n",
    "loops.lua": ON.format("set", "loop") + "-- timeout=20ms\nfor i = 1, 2e8 do end\n",
    "beat.lua": "-- every=1s\nreturn 1\n",
    "night.lua": "-- every=1s\n-- runasync=yes\nreturn 1\n",
    "left.lua": "-- runasync=yes\n-- overlap=allow\nreturn 1\n",
    "edited.lua": "return 1\n",
    "script.lua": "-- evalsha=yes\nreturn 1\n",
}  # fmt: skip
GIVEN = ("app:*",), ("incr",)
"""Keys and commands of these sprocs."""
MANY = 300
"""Elements: more than are read at once."""


class Life:
    """What a daemon has to do, again and again in a thread: events of each type, commits, edits, requests."""

    def __init__(self, server: Any, repo: GitRepo) -> None:
        self._client, self._repo = server.client(), repo
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        for number in itertools.count():
            if self._over.wait(0.08):
                return
            with contextlib.suppress(RedisError):
                self._write(number, MANY if number % 5 == 0 else 1)
                if number % 4 == 0:
                    self._commit(number)
                if number % 4 == 2:
                    self._ask(number)

    def _write(self, number: int, count: int) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.delete("app:hash", "app:list", "app:set", "app:zset")
        pipe.set("app:string", "x" * (600_000 if number % 5 == 0 else 10))
        pipe.hset("app:hash", mapping={str(field): field for field in range(count)})
        pipe.sadd("app:set", *range(count))
        pipe.rpush("app:list", number)
        pipe.zadd("app:zset", {"a": number})
        pipe.xadd("app:stream", {"a": number}, maxlen=5)
        pipe.set(f"app:gone{number}", "x", px=30)
        pipe.incr("app:chain")
        pipe.execute(raise_on_error=False)

    def _commit(self, number: int) -> None:
        """One sproc comes or goes with its own function, two have other triggers: on a key, and on a pattern."""
        path = self._repo.path / "sprocs" / "comes.lua"
        path.unlink() if path.exists() else self._repo.write("sprocs/comes.lua", "-- function=comes\nreturn 1\n")
        for key in (f"one{number}", f"some{number}*"):
            self._repo.write(f"sprocs/moves{key[:3]}.lua", ON.format("set", key) + "return 1\n")
        with contextlib.suppress(AssertionError):  # the daemon commits an edit just now
            self._repo.commit("change")

    def _ask(self, number: int) -> None:
        control.request(Registry(self._client, KEYS), "sync", "ann@example.com")
        for sproc in read_sprocs(Registry(self._client, KEYS), ["edited.lua"]):
            with contextlib.suppress(Exception):  # another edit was first
                wish = {"description": f"number {number}"}
                edit_metadata(Registry(self._client, KEYS), sproc.name, wish, base=sproc.blob, by="ann@example.com")


def loop(admin: Any) -> None:
    admin.set("app:loop", "x")


def flags_gone(admin: Any) -> None:
    admin.config_set("notify-keyspace-events", "")


def group_gone(admin: Any) -> None:
    admin.xgroup_destroy(KEYS.control, control.GROUP)


def died_with_a_job(admin: Any) -> None:
    """Another daemon, that took one and was never heard of."""
    pipe = admin.pipeline(transaction=True)
    pipe.execute_command("FCALL", "luasprocs_enqueue", 0, "left.lua", "ann", 1)
    pipe.xreadgroup("workers", "ghost", {KEYS.jobs: ">"})
    pipe.execute()


def scripts_gone(admin: Any) -> None:
    admin.script_flush()


SELDOM: dict[str, Callable[[Any], None]] = {
    "+function|kill": loop,
    "+function|stats": loop,
    "+sadd": loop,  # after three times it is paused
    "+config|set": flags_gone,
    "+script|load": scripts_gone,
    "+xgroup": group_gone,
    "+xclaim": died_with_a_job,
}
"""What must happen for a right to be needed."""


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    for name, source in SPROCS.items():
        found.write(f"sprocs/{name}", source)
    found.write("luasprocs.toml", "keep_generations = 2\n")
    found.commit("first")
    return found


@pytest.fixture
def become(server) -> Callable[..., None]:
    """Gives the daemon's user its rights, less one, and makes it connect again. Turns of jobs whose end was refused are freed."""
    admin = server.client()
    admin.config_set("busy-reply-threshold", 50)

    def become(without: str = "") -> None:
        words = [word for word in rule("daemon", KEYS, own_keys=GIVEN[0], own_commands=GIVEN[1]) if word != without]
        ask(lambda: admin.execute_command("ACL", "SETUSER", "worker", *words, ">pw"))
        ask(lambda: admin.delete(KEYS.running, *admin.keys("*_Sproc_Waiting_*")))
        ask(lambda: admin.execute_command("ACL", "LOG", "RESET"))
        with contextlib.suppress(ResponseError):
            ask(lambda: admin.execute_command("CLIENT", "KILL", "USER", "worker"))

    return become


@pytest.fixture
def daemon(server, repo, become) -> Iterator[Service]:
    become()
    url = server.url.replace("redis://", "redis://worker:pw@")
    with Service(url, repo.path, environ={"LUASPROCS_EXECUTIONS_AGE": "1h"}) as found, Life(server, repo):
        yield found
        become()


def ask(question: Callable[[], Any]) -> Any:
    """The answer, once the server is not busy with a sproc."""
    while True:
        try:
            return question()
        except ResponseError as error:
            if "BUSY" not in str(error):
                raise
        time.sleep(0.02)


def refused(admin: Any) -> set[tuple[str, str]]:
    """What the daemon's user was refused: `command`, `key` or `channel`, and which."""
    entries = ask(lambda: admin.execute_command("ACL", "LOG", 128))
    found = set()
    for entry in entries:
        fields = dict(entry if isinstance(entry, dict) else zip(entry[::2], entry[1::2], strict=True))
        said = {str(_text(name)): _text(value) for name, value in fields.items()}
        if said["username"] == "worker":
            found.add((str(said["reason"]), str(said["object"])))
    return found


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def is_of(right: str, refusal: tuple[str, str]) -> bool:
    reason, what = refusal
    if right[0] == "+":
        return reason == "command" and what.partition("|")[0] == right[1:].partition("|")[0]
    return reason == {"~": "key", "&": "channel"}[right[0]]


def test_it_allows_a_daemons_work_and_each_right_taken_away_breaks_it(server, repo, become, daemon):
    admin = server.client()
    ran = [name for name in SPROCS if name not in {"edited.lua", "left.lua", "loops.lua", "script.lua"}]

    def loops_was_paused() -> bool:
        loop(admin)
        return bool(admin.sismember(KEYS.paused, "loops.lua"))

    until(lambda: all(ask(partial(admin.hget, KEYS.stats(name), "runs")) for name in ran), what="not all ran")
    until(lambda: ask(loops_was_paused), what="it was never stopped")
    until(lambda: ask(lambda: admin.xlen(KEYS.dead)))
    until(lambda: b"answer" in b"".join(name for _, one in ask(lambda: admin.xrevrange(KEYS.control)) for name in one))
    until(lambda: "number" in repo.git("show", "HEAD:sprocs/edited.lua"))
    assert refused(admin) == set()
    ask(lambda: resume(Registry(admin, KEYS), ["loops.lua"]))

    rights = rule("daemon", KEYS, own_keys=GIVEN[0], own_commands=GIVEN[1])
    for right in (word for word in rights if word[0] in "+~&" and not word.startswith("+@")):
        become(right)
        happen, deadline, again = SELDOM.get(right), time.monotonic() + PATIENCE_S, 0.0
        while not any(is_of(right, refusal) for refusal in refused(admin)):
            if happen and time.monotonic() > again:
                with contextlib.suppress(RedisError):
                    happen(admin)
                again = time.monotonic() + 0.3
            assert time.monotonic() < deadline, (
                f"a daemon works without {right}; {refused(admin)}; running: {daemon.running}; {daemon.output[-3000:]}"
            )
            time.sleep(0.02)
