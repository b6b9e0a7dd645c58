"""A repair that doesn't last is made three times within a minute, and then waits, however often somebody writes."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import findings
from luasprocs.operations.rollback import rollback
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from luasprocs.state import requests
from sync.service.repairs import LIMIT, Repairs
from tests.daemons import COMMAND
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, live, source_of, stands
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.write("sprocs/b.lua", "return 1\n")
    found.commit("first")
    return found


@contextlib.contextmanager
def written_by_hand(client: Redis, name: str, every_s: float = 0.05) -> Iterator[None]:
    """A script that has its own opinion of a sproc, and writes it again and again."""
    ends = threading.Event()

    def write() -> None:
        for number in itertools.count():
            client.hset(KEYS.name(name), "source", f"return 'by hand {number}'")
            if ends.wait(every_s):
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def drift(server: Server) -> str:
    """The finding's message."""
    found = findings(read_snapshot(Registry(server.client(), KEYS), server.url))
    return "".join(one.message for one in found if one.code == FindingCode.DRIFT)


@pytest.mark.parametrize("every_s", [0.05, 0.0005])
def test_a_repair_that_does_not_last_stops(server: Server, repo: GitRepo, every_s: float) -> None:
    client = server.client()
    with Service(server.url, repo.path) as daemon:
        live(client, repo.git("rev-parse", "HEAD"))
        with written_by_hand(client, "a.lua", every_s):
            stands(client, "flapping")
            time.sleep(1.5)
            assert client.xlen(KEYS.history) == 1 + LIMIT
            assert "repaired 3 times within a minute, and changed again each time: a.lua" in drift(server)
        assert daemon.output.count("flapping: repaired 3 times") == 1
        assert stands(client, "flapping").updated == ("a.lua",)
        # What else somebody changes is put right with it.
        client.hset(KEYS.name("b.lua"), "source", "return 2")
        until(lambda: source_of(client, "b.lua") == "return 1\n" == source_of(client, "a.lua"))
        assert client.xlen(KEYS.history) == 2 + LIMIT


def test_a_new_commit_or_somebody_s_sync_makes_it_go_on(server: Server, repo: GitRepo) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        with written_by_hand(client, "a.lua"):
            stands(client, "flapping")
        requests.request(registry, "sync", "ann@host")
        stands(client, "synced")
        assert source_of(client, "a.lua") == "return 1\n"
        assert not drift(server)
        with written_by_hand(client, "a.lua"):
            stands(client, "flapping")
            assert client.xlen(KEYS.history) == 1 + LIMIT + 1 + LIMIT
        repo.write("sprocs/b.lua", "return 2\n")
        live(client, repo.commit("second"))
        stands(client, "synced")
        assert source_of(client, "a.lua") == "return 1\n"


def test_a_sync_by_hand_begins_the_count_anew(server: Server, repo: GitRepo) -> None:
    client = server.client()
    with Service(server.url, repo.path) as daemon:
        live(client, repo.git("rev-parse", "HEAD"))
        with written_by_hand(client, "a.lua"):
            stands(client, "flapping")
        subprocess.run([*COMMAND, "--redis", server.url, "sync"], cwd=repo.path, check=True, capture_output=True)
        stands(client, "synced")
        assert client.xlen(KEYS.history) == 1 + LIMIT + 1
        client.hset(KEYS.name("a.lua"), "source", "return 2")
        until(lambda: source_of(client, "a.lua") == "return 1\n")
        stands(client, "synced")
        assert daemon.output.count("flapping: repaired") == 1


def test_all_daemons_together_repair_three_times(server: Server, repo: GitRepo) -> None:
    client = server.client()
    with Service(server.url, repo.path) as one, Service(server.url, repo.path) as two:
        live(client, repo.git("rev-parse", "HEAD"))
        with written_by_hand(client, "a.lua"):
            until(lambda: all("flapping: repaired 3 times" in daemon.output for daemon in (one, two)))
            time.sleep(0.5)
            assert client.xlen(KEYS.history) == 1 + LIMIT
        two.stop()
        client.hset(KEYS.name("a.lua"), "source", "return 2")
        with Service(server.url, repo.path):  # who has just come knows of it, too
            time.sleep(1.0)
            assert client.xlen(KEYS.history) == 1 + LIMIT


def test_what_a_rollback_left_is_not_repaired_for_ever_either(server: Server, repo: GitRepo) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/a.lua", "return 2\n")
        live(client, repo.commit("second"))
        rollback(registry, by="ann@host")
        stands(client, "pinned")
        with written_by_hand(client, "a.lua"):
            stands(client, "flapping")
            time.sleep(1.0)
            assert client.xlen(KEYS.history) == 3 + LIMIT
            assert "repaired 3 times" in drift(server)
            codes = {one.code for one in findings(read_snapshot(registry, server.url))}
            assert FindingCode.PINNED in codes
        assert read_live(registry).revision.pinned


def test_daemons_that_want_different_things_stop(server: Server, repo: GitRepo, tmp_path: Path) -> None:
    client = server.client()
    other = tmp_path / "other"
    repo.git("clone", "-q", str(repo.path), str(other))
    (other / "sprocs/a.lua").write_text("return 2\n", encoding="utf-8")
    with Service(server.url, repo.path, "--worktree") as one, Service(server.url, other, "--worktree") as two:
        until(lambda: "flapping: repaired" in one.output or "flapping: repaired" in two.output)
        until(lambda: "repaired 3 times" in drift(server))
        made = client.xlen(KEYS.history)
        assert made <= 2 * (1 + LIMIT)
        time.sleep(2.0)
        assert client.xlen(KEYS.history) == made


def test_three_within_the_span_are_enough_and_quiet_forgives() -> None:
    repairs = Repairs(within_s=0.3)
    for _ in range(LIMIT):
        assert not repairs.stopped(("a",))
        repairs.made(("a",))
    assert repairs.stopped(("a",))
    assert not repairs.stopped(("a", "b"))
    assert not repairs.stopped(())
    for _ in range(4):  # as long as somebody writes
        time.sleep(0.1)
        repairs.stirred()
        assert repairs.stopped(("a",))
    time.sleep(0.35)
    assert not repairs.stopped(("a",))


def test_what_is_repaired_now_and_then_goes_on() -> None:
    repairs = Repairs(within_s=0.2)
    for _ in range(2 * LIMIT):
        assert not repairs.stopped(("a",))
        repairs.made(("a",))
        time.sleep(0.11)
        repairs.stirred()
