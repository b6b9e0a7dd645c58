"""Whatever happens to a sync on its way, the registry holds one commit, whole; and the next sync converges."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.server.connection import connect, errors_named
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer
from tests.gitrepo import GitRepo
from tests.proxy import Proxy

KEYS = Keys()
SPROCS = 500
CUTS = 30
KILLS = 8
PROBED = ("both/0100.lua", "both/0399.lua")


def names(tag: str) -> list[str]:
    return sorted(
        [*(f"both/{number:04}.lua" for number in range(400)), *(f"{tag}/{number:04}.lua" for number in range(100))]
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Two commits of 500 sprocs: 400 differ, 100 are only in the one, 100 only in the other."""
    repo = GitRepo(tmp_path_factory.mktemp("flip"))
    commits = {}
    for tag in ("a", "b"):
        for name in names(tag):
            repo.write(f"sprocs/{name}", f"-- description={tag}\nreturn '{tag}'\n")
        repo.git("add", "--all")
        commits[tag] = repo.commit(tag)
        repo.git("rm", "-r", "-q", f"sprocs/{tag}")
    return Repository.open(repo.path), {
        tag: read_commit(Repository.open(repo.path), sha) for tag, sha in commits.items()
    }


class Reader:
    """Compares list, hashes and replies, in one MULTI, again and again."""

    def __init__(self, client, commits):
        self._client, self._commits = client, commits
        self.checks = 0
        self.wrong = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.003):
            if wrong := self.look():
                self.wrong.append(wrong)
                return
            self.checks += 1

    def look(self):
        """What is wrong now, or ""."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hget(KEYS.revision, "commit")
        pipe.lrange(KEYS.list, 0, -1)
        for name in PROBED:
            pipe.hmget(KEYS.name(name), "source", "description", "commit")
            pipe.execute_command("FCALL", KEYS.function("execute"), 0, name)
        for tag in ("a", "b"):
            pipe.exists(*(KEYS.name(f"{tag}/{number:04}.lua") for number in range(100)))
        commit, listed, *rest = pipe.execute()
        tag = self._commits[commit]
        if [name.decode() for name in listed] != names(tag):
            return f"{tag}: its list has {len(listed)} names"
        want = f"-- description={tag}\nreturn '{tag}'\n".encode()
        for stored, reply in zip(rest[:4:2], rest[1:4:2], strict=True):
            if stored != [want, tag.encode(), commit] or reply != tag.encode():
                return f"{tag}: found {stored} and {reply}"
        if rest[4:] != [100 * (tag == "a"), 100 * (tag == "b")]:
            return f"{tag}: {rest[4:]} hashes of the two"
        return ""


def sync_through(url, repository, desired):
    client = connect(url)
    try:
        with errors_named(url):
            return Syncer(Registry(client, KEYS), repository).sync(desired)
    finally:
        client.close()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_cut_at_any_byte_leaves_one_commit(server, server_kind, repository):
    """At other places on each server."""
    repo, commits = repository
    by_commit = {desired.commit.sha.encode(): tag for tag, desired in commits.items()}
    sync_through(server.url, repo, commits["a"])
    with Proxy(server.port) as proxy:
        sync_through(proxy.url, repo, commits["b"])
        whole = proxy.total
    live, failed = "b", 0
    with Reader(server.client(), by_commit) as reader:
        for point in range(CUTS):
            wanted = "a" if live == "b" else "b"
            place = 2 * point + (server_kind == "redis")
            with Proxy(server.port, cut_at=1 + whole * place // (2 * CUTS)) as proxy:
                try:
                    sync_through(proxy.url, repo, commits[wanted])
                except LuasprocsError:
                    failed += 1
            assert not reader.wrong
            sync_through(server.url, repo, commits[wanted])
            live = wanted
            assert server.client().hget(KEYS.revision, "commit").decode() == commits[wanted].commit.sha
    assert reader.wrong == []
    assert reader.checks > CUTS
    assert failed > CUTS * 0.9


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_killed_sync_leaves_one_commit(server, repository):
    repo, commits = repository
    by_commit = {desired.commit.sha.encode(): tag for tag, desired in commits.items()}
    sync_through(server.url, repo, commits["a"])
    with Proxy(server.port) as proxy:
        sync_through(proxy.url, repo, commits["b"])
        whole = proxy.total
    live, killed = "b", 0
    with Reader(server.client(), by_commit) as reader:
        for point in range(KILLS):
            wanted = "a" if live == "b" else "b"
            with Proxy(server.port, cut_at=1 + whole * (point + 1) // (KILLS + 1)) as proxy:
                command = [sys.executable, "-m", "sync.cli", "--redis", proxy.url, "--repo", str(repo.path)]
                process = subprocess.Popen(
                    [*command, "sync", "--revision", commits[wanted].commit.sha],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                proxy.cut.wait(60)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
            assert not reader.wrong
            sync_through(server.url, repo, commits[wanted])
            live = wanted
    assert reader.wrong == []
    assert killed >= KILLS // 2


def test_a_sync_with_nothing_changed_is_one_round_trip_and_one_file_is_one_sproc(server, repository, monkeypatch):
    repo, commits = repository
    sync_through(server.url, repo, commits["a"])
    asked = []
    read = Repository.blobs

    def blobs(self, ids):
        asked.append(list(ids))
        return read(self, asked[-1])

    monkeypatch.setattr(Repository, "blobs", blobs)
    with Proxy(server.port) as proxy:
        client = connect(proxy.url)
        client.ping()  # the connection's own greeting
        before = proxy.turns
        outcome = Syncer(Registry(client, KEYS), repo).sync(commits["a"])
        assert (proxy.turns - before, outcome.changed, outcome.plan.unchanged) == (1, False, SPROCS)
        client.close()
    assert [blobs for blobs in asked if blobs] == []
