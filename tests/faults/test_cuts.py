"""Each kind of command of a daemon and its workers is cut off, before and after the server has run it, with a ledger of all."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.cluster import CLUSTER
from luasprocs.contract.codes import RequestRefusal
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.registry.history import read_history
from luasprocs.state.jobs import read_jobs
from tests.faults.cuts import KEYS, KINDS, ONCE_MORE, Work
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.gitrepo import GitRepo
from tests.proxy import Proxy
from tests.sync.service.service import Service, live, stands
from tests.until import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(400)]
JOB = (
    "-- runasync=yes\n-- overlap=allow\n-- retries=9\n-- backoff=5ms\n"
    "redis.call('HINCRBY', 'ran', ARGV[1], 1)\nsproc.call('called.lua', {}, {ARGV[1]})\n"
)
SPROCS = {
    "counter.lua": COUNTER,
    "job.lua": JOB,
    "turns.lua": "-- runasync=yes\n-- overlap=queue\nredis.call('RPUSH', 'turns', ARGV[1])\n",
    "called.lua": "redis.call('HINCRBY', 'called', ARGV[1], 1)\n",
    "asks.lua": (
        "-- runasync=yes\n-- overlap=allow\n-- retries=9\n-- backoff=5ms\nsproc.enqueue('job.lua', {}, {ARGV[1]})\n"
    ),
    "cron.lua": "-- every=200ms\nredis.call('HINCRBY', 'times', ARGV[1], 1)\n",
    "again.lua": (
        "-- event=set\n-- key=again:*\n-- retries=9\n-- backoff=5ms\n"
        "if redis.call('HINCRBY', 'tries', KEYS[1], 1) == 1 then error('the first time') end\n"
    ),
    "gone.lua": "-- event=expired\n-- key=due:*\nreturn 1\n",
    "scan.lua": "-- event=set\n-- key=scanned:*\n-- catchup=scan\nredis.call('HINCRBY', 'scans', KEYS[1], 1)\n",
    "spin.lua": "-- timeout=50ms\nwhile true do end\n",
    "script.lua": "-- evalsha=yes\nreturn 1\n",
    "edited.lua": "-- description=of nothing\nreturn 1\n",
}
OF_OTHERS = {"execute", "execute_ro", "run", "job"}
"""Functions that neither a daemon nor a worker calls: applications, commands and the screen do."""
CLUSTERS = {one.name for one in CLUSTER}
"""Functions that a single server has not: tests/cluster tries them."""
TWICE = {"effect", "call", "enqueue", "HELLO"}
"""What a job's own run loses: it fails, and is tried again."""


def cut(work: Work, kind: str, provoke: Callable[[Work], None], *, after: bool) -> None:
    proxy = work.proxy
    proxy.cut_command(kind=kind, after=after)
    started = time.monotonic()
    while not proxy.command_cut.is_set():
        assert time.monotonic() - started < PATIENCE_S, f"{kind} was never sent"
        provoke(work)
        proxy.command_cut.wait(1)
    work.run()


def test_each_kind_of_command_cut_before_and_after_the_server_has_run_it(server, tmp_path):
    client, repo = server.client(), GitRepo(tmp_path / "repo")
    for name, source in SPROCS.items():
        repo.write(f"sprocs/{name}", source)
    first = repo.commit("first")
    client.config_set("busy-reply-threshold", 50)
    client.mset({f"scanned:{number}": 1 for number in range(50)})
    environ = {"LUASPROCS_WORKERS": "2", "LUASPROCS_EXECUTIONS_AGE": "1h"}
    with Proxy(server.port) as proxy, Service(proxy.url, repo.path, environ=environ) as daemon:
        live(client, first)
        work = Work(client, repo, proxy, daemon)
        with Writers(server, 2, rate=100) as writers:
            for kind, after in product(KINDS, (False, True)):
                if (kind, after) not in proxy.cut_kinds:  # nor was together with another one
                    cut(work, kind, KINDS[kind], after=after)
            for (kind, provoke), after in product(ONCE_MORE, (False, True)):
                cut(work, kind, provoke, after=after)
        until(work.idle, what=lambda: read_jobs(work.registry))
        ran = settled(client, writers.count)
        assert proxy.kinds - KINDS.keys() == set()
        of_git(work)
        work.said += daemon.output
    assert "Traceback" not in work.said
    check(writers.ledger, ran, gaps(client))
    of_jobs(work)
    assert set(ledger_of(client, "times").values()) == {1}
    assert set(ledger_of(client, "tries").values()) <= {1, 2}  # 1: in a gap it fails once by its catch-up, or never ran


def of_git(work: Work) -> None:
    """What git has is live, each live edit is one commit, and each request has one answer and was done once."""
    until(lambda: not work.edited())
    head = work.repo.git("rev-parse", "HEAD")
    live(work.client, head)
    stands(work.client, "synced")
    said = work.repo.git("log", "--format=%s").splitlines()
    made = [subject for subject in said if subject.startswith("Edit ")]
    assert 0 < len(made) == len(set(made)) <= work.edits
    assert f"edit {work.edits - 1}" in work.repo.git("show", "HEAD:sprocs/edited.lua")
    until(lambda: not work.unanswered())
    answers: Any = work.client.xrange(KEYS.control)
    answered = [fields[b"answer"].decode() for _, fields in answers if b"answer" in fields]
    assert sorted(answered) == sorted(work.requests)
    assert not [fields for _, fields in answers if fields.get(b"refusal") == RequestRefusal.EXPIRED.encode()]
    history = read_history(work.registry)
    asked = {entry for entry, fields in answers if fields.get(b"request") == b"rollback"}
    rolled_back = [fields for _, fields in answers if fields.get(b"answer") in asked and fields[b"ok"] == b"1"]
    assert 0 < sum(one.action.startswith("rollback") for one in history) == len(rolled_back) <= work.rollbacks
    assert [one.generation for one in reversed(history)] == list(range(1, len(history) + 1))


def of_jobs(work: Work) -> None:
    """No job is lost, and only what a cut of its own run has failed ran again."""
    dead = {job.args[0] for job in read_jobs(work.registry) if job.state == "dead"}
    assert dead <= {str(turn) for turn in range(work.turns)}, dead  # of what has no retries
    assert len(dead) <= 4, dead  # the cuts of an `effect`: it is unknown whether the server ran it; and of a HELLO
    done = ledger_of(work.client, "ran")
    assert done.keys() == {f"{kind}{number}" for kind in "ja" for number in range(work.jobs)}
    again = {name: times for name, times in done.items() if times > 1}
    assert sum(again.values()) - len(again) <= 2 * 2 * len(TWICE), again
    turns: Any = work.client.lrange("turns", 0, -1)
    taken = [turn.decode() for turn in dict.fromkeys(turns)]
    assert taken == [turn for turn in map(str, range(work.turns)) if turn in taken or turn not in dead]


def test_each_function_of_the_engine_is_cut_or_is_not_a_daemon_s():
    assert {KEYS.function(name) for name in FUNCTIONS.keys() - OF_OTHERS - CLUSTERS} <= KINDS.keys()


def ledger_of(client: Redis, key: str) -> dict[str, int]:
    found: Any = client.hgetall(key)
    return {name.decode(): int(times) for name, times in found.items()}
