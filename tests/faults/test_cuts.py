"""Each command of a daemon and its workers is cut off, before and after the server has run it; a ledger tells the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.live import put, sproc
from tests.proxy import Proxy
from tests.until import until

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.timeout(240)]
KEYS = Keys()
JOB = (
    "-- runasync=yes\n-- overlap=allow\n-- retries=9\n-- backoff=5ms\n"
    "redis.call('HINCRBY', 'ran', ARGV[1], 1)\nsproc.call('called.lua', {}, {ARGV[1]})\n"
)
SPROCS = (
    sproc("counter.lua", COUNTER),
    sproc("job.lua", JOB),
    sproc("turns.lua", "-- runasync=yes\n-- overlap=queue\nredis.call('RPUSH', 'turns', ARGV[1])\n"),
    sproc("called.lua", "redis.call('HINCRBY', 'called', ARGV[1], 1)\n"),
    sproc(
        "asks.lua",
        "-- runasync=yes\n-- overlap=allow\n-- retries=9\n-- backoff=5ms\nsproc.enqueue('job.lua', {}, {ARGV[1]})\n",
    ),
    sproc("cron.lua", "-- every=200ms\nredis.call('HINCRBY', 'times', ARGV[1], 1)\n"),
    sproc(
        "again.lua",
        "-- event=set\n-- key=again:*\n-- retries=9\n-- backoff=5ms\n"
        "if redis.call('HINCRBY', 'tries', KEYS[1], 1) == 1 then error('the first time') end\n",
    ),
    sproc("gone.lua", "-- event=expired\n-- key=due:*\nreturn 1\n"),
    sproc("scan.lua", "-- event=set\n-- key=scanned:*\n-- catchup=scan\nredis.call('HINCRBY', 'scans', KEYS[1], 1)\n"),
)
NOT_SENT = {"execute", "execute_ro", "run", "about", "compile", "inspect", "verify", "job", "leave", "back"}
"""Functions of others, `leave`, which is sent at the end, and `back`, which has a test of its own."""
TWICE = {"effect", "call", "enqueue"}
"""What a job's own run loses: it fails, and is tried again."""
PLAIN = (b"CONFIG", b"PING", b"EXEC", b"SETNAME", b"SUBSCRIBE")


class Work:
    """What is to be done meanwhile, and what must come of it."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.jobs = self.turns = 0

    def provoke(self, word: bytes) -> None:
        """Makes everything happen, and `word` above all."""
        for _ in range(3):
            self._enqueue("job.lua", f"j{self.jobs}")
            self._enqueue("asks.lua", f"a{self.jobs}")
            self.jobs += 1
        self._enqueue("turns.lua", self.turns)
        self.turns += 1
        self.client.set(f"again:{self.jobs}", 1)
        self.client.set(f"due:{self.jobs}", 1, px=50)
        if b"catchup" in word:
            self.client.hset(KEYS.catchups, "scan.lua", "0 0")
        if b"blind" in word or word == b"CONFIG":
            self.client.config_set("notify-keyspace-events", "")

    def _enqueue(self, name: str, word: Any) -> None:
        self.client.execute_command("FCALL", KEYS.function("enqueue"), 0, name, "-", 1, word)

    def idle(self) -> bool:
        return not self.client.xlen(KEYS.jobs) and not self.client.exists(KEYS.delayed, KEYS.running)


def cut(proxy: Proxy, work: Work, word: bytes, *, after: bool) -> None:
    proxy.cut_command(word, after=after)
    started = time.monotonic()
    while not proxy.command_cut.wait(0.3):
        waited_s = time.monotonic() - started
        assert waited_s < 30, f"{word!r} was never sent"
        work.provoke(word)
        if waited_s > 1:  # some are sent at the start of a session alone
            work.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    work.provoke(b"")


def cuts() -> list[tuple[bytes, bool]]:
    sent = [name for name in FUNCTIONS if name not in NOT_SENT]
    words = [KEYS.function(name).encode() + b"\r\n" for name in sent] + list(PLAIN)
    return [(word, after) for word in words for after in (False, True)]


def test_each_command_cut_before_and_after_the_server_has_run_it(server, tmp_path):
    client = server.client()
    put(client, *SPROCS)
    client.mset({f"scanned:{number}": 1 for number in range(50)})
    work, told = Work(client), cuts()
    with (
        Proxy(server.port) as proxy,
        DaemonProcess(proxy.url, cwd=tmp_path, environ={"LUASPROCS_WORKERS": "2"}) as daemon,
    ):
        with Writers(server, 2, rate=100) as writers:
            for word, after in told:
                cut(proxy, work, word, after=after)
        until(work.idle, what=lambda: read_jobs(Registry(client, KEYS)))
        ran = settled(client, writers.count)
        said = daemon.output
    assert "Traceback" not in said
    check(writers.ledger, ran, gaps(client))
    done, dead = (
        ledger_of(client, "ran"),
        {job.args[0] for job in read_jobs(Registry(client, KEYS)) if job.state == "dead"},
    )
    assert dead <= {str(turn) for turn in range(work.turns)}, dead  # of what has no retries
    assert len(dead) <= 2, dead  # the two cuts of an `effect`: it is unknown whether the server ran it
    assert done.keys() == {f"{kind}{number}" for kind in "ja" for number in range(work.jobs)}
    again = {name: times for name, times in done.items() if times > 1}
    assert sum(again.values()) - len(again) <= 2 * 2 * len(TWICE), again
    turns: Any = client.lrange("turns", 0, -1)
    taken = [turn.decode() for turn in dict.fromkeys(turns)]
    assert taken == [turn for turn in map(str, range(work.turns)) if turn in taken or turn not in dead]
    assert set(ledger_of(client, "times").values()) == {1}
    assert set(ledger_of(client, "tries").values()) <= {1, 2}  # 1: in a gap it fails once by its catch-up, or never ran


def ledger_of(client: Redis, key: str) -> dict[str, int]:
    found: Any = client.hgetall(key)
    return {name.decode(): int(times) for name, times in found.items()}
