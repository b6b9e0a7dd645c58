"""Commands of daemons set up another way are cut off, too: without CONFIG, by a user in a db, of a remote, by Sentinel."""

from __future__ import annotations

import subprocess
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.registry.history import read_history
from luasprocs.runtime.probes import PROBES
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state.requests import request, wait_for_answer
from tests.daemons import DaemonProcess
from tests.faults.cuts import KINDS
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.gitrepo import GitRepo
from tests.live import put, sproc
from tests.proxy import Proxy
from tests.servers import binary_of
from tests.soak import SOAK
from tests.sync.service.service import Service, live, stands
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tests.servers import Server

KEYS, DB = Keys(), 3
pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 200)]
JOB = "-- runasync=yes\n-- retries=9\n-- backoff=5ms\nredis.call('HINCRBY', 'ran', ARGV[1], 1)\n"
ANY = "-- event=expired, hset, del\n-- key=a:*\nreturn 1\n"
OF_PROBES = sorted({str(command[0]) for probe in PROBES.values() for command in probe.commands})
CONNECTING = ("AUTH", "SELECT", "CLIENT SETNAME", "SUBSCRIBE", "PING", "TIME")


def cut_each(proxy: Proxy, kinds: Collection[str], provoke: Callable[[], object], lives: Callable[[], object]) -> None:
    """Each before and after the server has run it; `lives` waits until the daemon has recovered."""
    for kind, after in product(kinds, (False, True)):
        proxy.cut_command(kind=kind, after=after)
        for turn in range(12):
            provoke()
            if proxy.command_cut.wait(0.5 * (turn + 1)):  # on a busy machine a daemon takes longer to come to it
                break
        assert proxy.command_cut.is_set(), f"{kind} was never sent: {sorted(proxy.kinds)}"
        lives()


class InDb(Writers):
    def _client(self) -> redis.Redis:
        return redis.Redis(port=self._server.port, db=DB, protocol=2, socket_timeout=20, socket_connect_timeout=5)


class Jobs:
    """Enqueues one job each time, and waits until it has run."""

    def __init__(self, client: redis.Redis) -> None:
        self._client, self._count = client, 0

    def __call__(self) -> None:
        self._count += 1
        self._client.execute_command("FCALL", KEYS.function("enqueue"), 0, "job.lua", "-", 1, self._count)
        until(lambda: self._client.hexists("ran", str(self._count)))

    def check(self) -> None:
        """At least once each."""
        assert self._client.hlen("ran") == self._count


def test_a_user_that_has_no_config_in_another_db(server: Server) -> None:
    """Its password, its db, and the canary's probes: one that is cut off is no class that is missing."""
    client = server.client(db=DB)
    put(client, sproc("counter.lua", COUNTER), sproc("job.lua", JOB), sproc("any.lua", ANY))
    client.config_set("notify-keyspace-events", "KEA")
    client.execute_command("ACL", "SETUSER", "lean", *rule("daemon", KEYS, config=False), ">pw")
    jobs = Jobs(client)

    def reconnect() -> None:
        client.execute_command("CLIENT", "KILL", "USER", "lean")

    with Proxy(server.port) as proxy:
        url = f"redis://lean:pw@127.0.0.1:{proxy.port}/{DB}"
        with DaemonProcess(url, environ={"LUASPROCS_WORKERS": "1"}) as daemon:
            daemon.until("CONFIG is refused")
            with InDb(server, 1, rate=50) as writers:
                of_probes = OF_PROBES if SOAK else ("DEL", "SET", "PERSIST", "HINCRBYFLOAT", "EXISTS")
                sent = {kind for kind in (*CONNECTING, *of_probes) if kind in proxy.kinds}
                cut_each(proxy, sorted({*CONNECTING, *sent}), reconnect, jobs)
            ran = settled(client, writers.count)
            said = daemon.output
    assert "Traceback" not in said
    assert "doesn't publish events" not in said
    check(writers.ledger, ran, gaps(client))
    jobs.check()


def test_a_daemon_says_that_it_listens_once_the_server_knows(server: Server) -> None:
    """What is written from then on is run, or a gap."""
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    with Proxy(server.port) as proxy:
        proxy.cut_command(kind=KEYS.function("cover"), after=False)
        with DaemonProcess(proxy.url), Writers(server, 1, rate=100) as writers:
            assert proxy.command_cut.wait(10)
            until(lambda: writers.count > 100)
            writers.stop()
            ran = settled(client, writers.count)
    check(writers.ledger, ran, gaps(client))


def test_a_daemon_that_follows_a_remote(server: Server, tmp_path: Path) -> None:
    client, repo = server.client(), GitRepo(tmp_path / "repo")
    repo.write("sprocs/counter.lua", COUNTER)
    repo.write("sprocs/other.lua", "return 0\n")
    first, registry = repo.commit("first"), Registry(client, KEYS)
    asked: list[str] = []
    (tmp_path / "daemon").mkdir()

    def ask() -> None:
        repo.write("sprocs/other.lua", f"return {len(asked)}\n")
        repo.commit(f"other {len(asked)}")
        asked.append(request(registry, "fetch", "tests"))

    def lives() -> None:
        live(client, repo.git("rev-parse", "HEAD"))
        until(lambda: all(wait_for_answer(registry, one, 0) for one in asked))

    kinds = ("EXEC PUBLISH", "XREADGROUP", "EXEC XACK", "EXEC HSET", "HSET", "HGET", "XAUTOCLAIM", "WATCH")
    with (
        Proxy(server.port) as proxy,
        Service(proxy.url, tmp_path / "daemon", "--remote", f"file://{repo.path}", "--branch", "main") as daemon,
    ):
        live(client, first)
        with Writers(server, 1, rate=50) as writers:
            cut_each(proxy, kinds if SOAK else kinds[:3], ask, lives)
        ran = settled(client, writers.count)
        stands(client, "synced")
        said = daemon.output
        assert proxy.kinds - KINDS.keys() == set()
    assert "Traceback" not in said
    check(writers.ledger, ran, gaps(client))
    answers: Any = client.xrange(KEYS.control)
    assert sorted(fields[b"answer"].decode() for _, fields in answers if b"answer" in fields) == sorted(asked)
    generations = [one.generation for one in reversed(read_history(registry))]
    assert generations == list(range(generations[0], generations[0] + len(generations)))


@pytest.fixture
def sentinel(server: Server, server_kind: str, tmp_path: Path, unused_tcp_port: int) -> Iterator[tuple[Proxy, Proxy]]:
    """Proxies before a Sentinel and before its master, which the Sentinel knows by the proxy alone."""
    with Proxy(server.port) as master:
        file = tmp_path / "sentinel.conf"
        own = unused_tcp_port
        file.write_text(
            f"port {own}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 60000\n"
        )
        command = [str(binary_of(server_kind)), str(file), "--sentinel"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            asked = redis.Redis(port=own, socket_timeout=5)
            until(partial(_is_up, asked))
            asked.close()
            with Proxy(own) as guide:
                yield guide, master
        finally:
            process.kill()
            process.wait()


def _is_up(sentinel: Any) -> bool:
    return bool(sentinel.sentinel_master("mymaster")["flags"] == "master")


def test_a_daemon_that_sentinel_leads_to_its_master(server: Server, sentinel: tuple[Proxy, Proxy]) -> None:
    guide, master = sentinel
    client = server.client()
    put(client, sproc("counter.lua", COUNTER), sproc("job.lua", JOB))
    jobs = Jobs(client)

    def reconnect() -> None:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    url = f"redis+sentinel://127.0.0.1:{guide.port}/mymaster"
    with DaemonProcess(url, environ={"LUASPROCS_WORKERS": "1"}) as daemon, Writers(server, 1, rate=50) as writers:
        jobs()
        assert guide.kinds == {"SENTINEL MASTER", "SENTINEL GET-MASTER-ADDR-BY-NAME", "SENTINEL SLAVES"}
        cut_each(guide, sorted(guide.kinds), reconnect, jobs)
        cut_each(master, ("HELLO", "CLIENT SETNAME", "SUBSCRIBE"), reconnect, jobs)
        writers.stop()
        ran = settled(client, writers.count)
        said = daemon.output
    assert "Traceback" not in said
    check(writers.ledger, ran, gaps(client))
    jobs.check()
