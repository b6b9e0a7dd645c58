"""Each kind of command that a daemon which follows git sends, and what makes it send it; with a ledger of what was asked for."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.requests import request, wait_for_answer
from tests.faults.test_jobs import workers_of
from tests.until import until

if TYPE_CHECKING:
    from redis import Redis

    from tests.gitrepo import GitRepo
    from tests.proxy import Proxy
    from tests.sync.service.service import Service

KEYS, SHOP = Keys(), Keys("shop")
ANN = "Ann Editor <ann@example.com>"


class Work:
    """What is to be done, and a ledger of what was asked for."""

    def __init__(self, client: Redis, repo: GitRepo, proxy: Proxy, daemon: Service) -> None:
        self.client, self.repo, self.proxy, self.daemon = client, repo, proxy, daemon
        self.registry = Registry(client, KEYS)
        self.jobs = self.turns = self.edits = self.rollbacks = 0
        self.requests: list[str] = []
        self.said = ""
        self._actions = cycle(("sync", "fetch"))

    def idle(self) -> bool:
        return not self.client.xlen(KEYS.jobs) and not self.client.exists(KEYS.delayed, KEYS.running)

    def edited(self) -> bool:
        return bool(edits_of(read_live(self.registry)))

    def run(self) -> None:
        """Jobs of all sorts, events, a retry, and a key that expires."""
        for _ in range(3):
            self._enqueue("job.lua", f"j{self.jobs}")
            self._enqueue("asks.lua", f"a{self.jobs}")
            self.jobs += 1
        self._enqueue("turns.lua", self.turns)
        self.turns += 1
        self.client.set(f"again:{self.jobs}", 1)
        self.client.set(f"due:{self.jobs}", 1, px=50)

    def _enqueue(self, name: str, word: Any) -> None:
        """Once the engine is there."""
        until(lambda: self.client.execute_command("FCALL", KEYS.function("enqueue"), 0, name, "-", 1, word))

    def connect(self) -> None:
        """New connections: of events, of deadlines, and of who watches the registry."""
        self.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    def blind(self) -> None:
        self.client.config_set("notify-keyspace-events", "")

    def limit_output(self) -> None:
        """As a server has it that no daemon has ever seen."""
        self.client.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")
        self.connect()

    def scan(self) -> None:
        self.client.hset(KEYS.catchups, "scan.lua", "0 0")
        self.connect()

    def edit(self) -> None:
        """A live edit, which becomes a commit."""
        with contextlib.suppress(LuasprocsError):  # a sync came between
            [found] = read_sprocs(self.registry, ["edited.lua"])
            change = {"description": f"edit {self.edits}"}
            edit_metadata(self.registry, "edited.lua", change, base=found.blob, by=ANN)
            self.edits += 1

    def commit(self) -> None:
        until(lambda: not self.edited())
        self.repo.write("sprocs/other.lua", f"return {self.jobs}\n")
        self.repo.commit(f"other {self.jobs}")
        self.jobs += 1
        self._enqueue("job.lua", f"j{self.jobs - 1}")
        self._enqueue("asks.lua", f"a{self.jobs - 1}")

    def ask(self) -> None:
        self.requests.append(request(self.registry, next(self._actions), "tests"))

    def roll_back(self) -> None:
        """And forth again."""
        for action in ("rollback", "sync"):
            self.requests.append(request(self.registry, action, "tests"))
            wait_for_answer(self.registry, self.requests[-1], 15)
        self.rollbacks += 1

    def forget_requests(self) -> None:
        until(lambda: not self.unanswered())
        self.requests.clear()
        self.client.delete(KEYS.control)

    def unanswered(self) -> set[str]:
        return {asked for asked in self.requests if wait_for_answer(self.registry, asked, 0) is None}

    def forget_engine(self) -> None:
        """For so long that who follows git looks meanwhile."""
        self.connect()
        for _ in range(20):
            self.client.function_flush()
            self.proxy.command_cut.wait(0.02)

    def forget_scripts(self) -> None:
        self.client.script_flush()

    def spin(self) -> None:
        """A call that never ends by itself."""
        until(self.idle)  # what the busy server refuses fails, and not all of it is tried again
        with pytest.raises(ResponseError, match="killed by user"):
            self.client.execute_command("FCALL", KEYS.function("execute"), 0, "spin.lua")

    def start_workers(self) -> None:
        until(self.idle)
        self._signal_workers(signal.SIGKILL)
        self.run()

    def leave_unbegun(self) -> None:
        """Workers die with jobs that they have not begun, and no new ones can connect."""
        self._enqueue("job.lua", f"j{self.jobs}")
        self._enqueue("asks.lua", f"a{self.jobs}")
        self.jobs += 1
        until(self.idle)
        self.proxy.refused = "HELLO"
        self._signal_workers(signal.SIGSTOP)
        self.run()
        self.proxy.command_cut.wait(0.2)
        self._signal_workers(signal.SIGKILL)
        self.proxy.command_cut.wait(3)
        self.proxy.refused = ""

    def _signal_workers(self, number: signal.Signals) -> None:
        for pid in workers_of(self.daemon):
            with contextlib.suppress(OSError):  # one that has ended; others are git's
                if b"luasprocs.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, number)

    def restart(self) -> None:
        self.said += self.daemon.output
        self.daemon.stop()
        self.said += self.daemon.output
        self.daemon.start()

    def shout(self) -> None:
        """A marker of another registry."""
        self.client.publish(SHOP.markers, "x")


_OF_ENGINE: dict[str, Callable[[Work], None]] = {
    **dict.fromkeys(("take", "held", "begun", "finish", "due", "retry", "dispatch", "cron", "deadlines"), Work.run),
    **dict.fromkeys(("effect", "call", "enqueue"), Work.run),
    **dict.fromkeys(("bound", "schedules", "tick", "cover", "beat", "flush", "about", "inspect"), Work.connect),
    **dict.fromkeys(("compile", "verify"), Work.commit),
    "catchup": Work.scan,
    "blind": Work.blind,
    "back": Work.leave_unbegun,
    "leave": Work.restart,
}
KINDS: dict[str, Callable[[Work], None]] = {
    **{KEYS.function(name): provoke for name, provoke in _OF_ENGINE.items()},
    **dict.fromkeys(("CLIENT SETNAME", "CLIENT ID", "CLIENT TRACKING", "SUBSCRIBE", "PSUBSCRIBE"), Work.connect),
    **dict.fromkeys(("TIME", "HSET", "CONFIG GET", "PING", "SCAN", "XTRIM", "HGET", "HGETALL", "HMGET"), Work.connect),
    **dict.fromkeys(("INFO", "LLEN", "SMEMBERS", "TYPE", "XLEN", "ZCARD"), Work.connect),
    **dict.fromkeys(("XAUTOCLAIM", "XREADGROUP", "SCRIPT EXISTS"), Work.connect),
    **dict.fromkeys(("GET", "SET", "DEL"), Work.edit),
    **dict.fromkeys(("MULTI", "WATCH", "EXEC PUBLISH", "EXEC HSET"), Work.commit),
    "EXEC HMGET": Work.connect,
    "HELLO": Work.start_workers,
    "CONFIG SET": Work.limit_output,
    **dict.fromkeys(("XRANGE", "XREVRANGE"), Work.connect),
    "EXEC XACK": Work.ask,
    "XACK": Work.ask,
    "XGROUP CREATE": Work.forget_requests,
    **dict.fromkeys(("FUNCTION LOAD", "FUNCTION LIST", "LRANGE"), Work.forget_engine),
    "SCRIPT LOAD": Work.forget_scripts,
    "FUNCTION STATS": Work.spin,
    "FUNCTION KILL": Work.spin,
    SHOP.function("about"): Work.shout,
    "HDEL": Work.restart,
}
"""Each kind of command, and what makes it come. `leave` and what stops with it come last: that daemon's lease has to end."""
ONCE_MORE = (("EXEC PUBLISH", Work.roll_back), ("EXEC XACK", Work.roll_back))
"""What a request makes of it: what was done, and not answered, must not be done again."""
